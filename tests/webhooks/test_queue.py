"""The queue of one endpoint: order per alert, pauses, one probe after an outage, and a clock that is only a number."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.webhooks.pending import Pending
from pipeline.webhooks.queue import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, WIDTH, EndpointQueue


def pending(alert: str, sequence: int, due: float = 0.0) -> Pending:
    return Pending(
        endpoint="desk", message_id=f"{alert}-{sequence}", sequence=sequence, partition=0, alert_id=alert,
        customer_id=alert, alert=b"{}", shape="standard", language="en", appended_at_ms=0, due=due,
    )  # fmt: skip


def queue(*waiting: Pending) -> EndpointQueue:
    made = EndpointQueue()
    for one in waiting:
        made.add(one)
    return made


def taken(made: EndpointQueue, now: float) -> list[str]:
    """Everything that may be sent at a moment."""
    found = []
    while (one := made.take(now)) is not None:
        found.append(one.message_id)
    return found


def test_a_later_message_of_an_alert_waits_for_the_earlier_and_other_alerts_do_not() -> None:
    first = pending("a", 1)
    made = queue(pending("a", 5), first, pending("b", 3))
    assert sorted(taken(made, 0)) == ["a-1", "b-3"]
    made.again(first, 10.0)
    assert taken(made, 5) == []
    assert taken(made, 10) == ["a-1"]
    made.settle(first, delivered=True)
    assert taken(made, 10) == ["a-5"]


def test_a_message_that_is_given_up_lets_the_next_one_go() -> None:
    first = pending("a", 1)
    made = queue(first, pending("a", 2))
    assert taken(made, 0) == ["a-1"]
    made.settle(first, delivered=False)
    assert taken(made, 0) == ["a-2"]


def test_the_same_message_twice_is_one() -> None:
    made = queue(pending("a", 1), pending("a", 1))
    assert len(made) == 1


def test_so_many_are_under_way_at_once_and_no_more() -> None:
    made = queue(*(pending(f"a{number}", 1) for number in range(WIDTH + 3)))
    assert len(taken(made, 0)) == WIDTH
    assert made.next_at() is None


def test_an_endpoint_that_is_away_is_probed_and_then_sent_more_and_more() -> None:
    made = queue(*(pending(f"a{number}", 1) for number in range(40)))
    for _ in range(FAILURES):
        one = made.take(0)
        assert one is not None
        made.failed(0)
        made.again(one, 1000)
    assert made.away
    assert taken(made, 0) == []
    assert made.next_at() == FIRST_PAUSE
    widths = []
    now = FIRST_PAUSE
    for _ in range(5):
        probes = []
        while (one := made.take(now)) is not None:
            probes.append(one)
        widths.append(len(probes))
        for one in probes:
            made.settle(one, delivered=True)
    assert widths[:3] == [1, 1, 2]
    assert max(widths) <= WIDTH


def test_what_failed_side_by_side_is_one_outage() -> None:
    made = queue(*(pending(f"a{number}", 1) for number in range(20)))
    for one in [made.take(0) for _ in range(WIDTH)]:
        assert one is not None
        made.failed(0)
        made.again(one, 1000)
    assert made.next_at() == FIRST_PAUSE


def test_pauses_between_probes_double_up_to_a_bound() -> None:
    made = queue(*(pending(f"a{number}", 1) for number in range(20)))
    now, moments = 0.0, []
    for _ in range(12):
        one = made.take(now)
        assert one is not None
        moments.append(now)
        made.failed(now)
        made.again(one, now + 1e6)
        now = made.next_at() or now
    pauses = [later - earlier for earlier, later in pairwise(moments)][FAILURES - 1 :]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE


def test_a_receiver_that_asked_to_be_left_alone_is() -> None:
    made = queue(pending("a", 1), pending("b", 1))
    one = made.take(0)
    assert one is not None
    made.failed(0, alone_seconds=60)
    made.again(one, 60)
    assert taken(made, 59) == []
    assert len(taken(made, 60)) == 2


def test_what_was_put_off_is_not_sent_early_whatever_was_in_line_before() -> None:
    first, second = pending("a", 1), pending("a", 2)
    made = queue(first, second)
    made.remove(second)
    assert made.take(0) is first
    made.again(first, 100.0)
    assert taken(made, 50) == []
    assert taken(made, 100) == ["a-1"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), unique=True),
    st.lists(st.sampled_from(["delivered", "again", "given up"])),
)
def test_whatever_happens_first_attempts_of_an_alert_are_in_order(
    messages: list[tuple[int, int]], fates: list[str]
) -> None:
    made = queue(*(pending(f"a{alert}", sequence) for alert, sequence in messages))
    now, seen, ahead = 0.0, list[tuple[str, int]](), iter(fates)
    while len(made):
        one = made.take(now)
        if one is None:
            now = max(now + 1, made.next_at() or now)
            continue
        if (one.alert_id, one.sequence) not in seen:
            seen.append((one.alert_id, one.sequence))
        fate = next(ahead, "delivered")
        if fate == "again":
            made.failed(now)
            made.again(one, now + 5)
        else:
            made.settle(one, delivered=fate == "delivered")
    assert sorted(seen) == sorted((f"a{alert}", sequence) for alert, sequence in messages)
    for alert in range(4):
        sequences = [sequence for name, sequence in seen if name == f"a{alert}"]
        assert sequences == sorted(sequences)


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_was_removed_is_not_sent(name: str) -> None:
    made = queue(pending("a", 1), pending("b", 1))
    made.remove(pending(name, 1))
    assert name not in "".join(taken(made, 0))
    assert len(made) == 1
