"""The schedule is that of Standard Webhooks, later by jitter and by what the receiver asks for, and it ends."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.webhooks.schedule import DELAYS_SECONDS, JITTER, MOST_PATIENCE_MS, next_attempt

attempts = st.integers(0, len(DELAYS_SECONDS) - 1)
draws = st.floats(0, 1, exclude_max=True)
moments = st.integers(0, 4_000_000_000_000)


def due(count: int, now_ms: int, draw: float, retry_after_ms: int | None = None) -> int:
    at = next_attempt(count, now_ms, draw, retry_after_ms)
    assert at is not None
    return at


def test_the_delays_are_those_of_the_specification() -> None:
    """The table "Example retry schedule": the time since the start of each attempt."""
    sums, now = [], 0
    for count in range(len(DELAYS_SECONDS)):
        now = due(count, now, 0)
        sums.append(str(timedelta(milliseconds=now)))
    assert sums == [
        "0:00:00", "0:00:05", "0:05:05", "0:35:05", "2:35:05", "7:35:05", "17:35:05", "1 day, 7:35:05",
        "2 days, 3:35:05", "3 days, 3:35:05",
    ]  # fmt: skip


@given(attempts, moments, draws)
def test_jitter_makes_an_attempt_later_by_at_most_a_fifth(count: int, now: int, draw: float) -> None:
    delay = DELAYS_SECONDS[count] * 1000
    assert delay <= due(count, now, draw) - now <= delay * (1 + JITTER)


@given(attempts, moments, draws, draws)
def test_a_larger_draw_is_never_earlier(count: int, now: int, one: float, other: float) -> None:
    assert due(count, now, min(one, other)) <= due(count, now, max(one, other))


@given(st.integers(0, len(DELAYS_SECONDS) - 2), moments, draws, draws)
def test_a_later_attempt_waits_longer_whatever_the_draw(count: int, now: int, one: float, other: float) -> None:
    assert due(count, now, one) <= due(count + 1, now, other)


@given(attempts, moments, draws, st.integers(0, 10**12))
def test_a_receiver_is_obeyed_up_to_two_hours_more(count: int, now: int, draw: float, asked: int) -> None:
    own = due(count, now, draw)
    at = due(count, now, draw, asked)
    assert own <= at <= own + MOST_PATIENCE_MS
    assert at >= min(now + asked, own + MOST_PATIENCE_MS)


@given(st.integers(len(DELAYS_SECONDS), 10**6) | st.integers(-(10**6), -1), moments, draws)
def test_after_ten_attempts_a_message_is_given_up_whatever_the_receiver_asks(count: int, now: int, draw: float) -> None:
    assert next_attempt(count, now, draw, 1000) is None
