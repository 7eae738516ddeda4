"""The moment of an answer for which nobody named one: now, or the newest event where that is older than two days."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.core.answer_moment import AnswerMoment, answer_moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AGES = {
    "imported history": (timedelta(days=9_000), "newest event"),
    "a moment more than two days": (timedelta(days=2, milliseconds=1), "newest event"),
    "two days": (timedelta(days=2), "now"),
    "a moment less than two days": (timedelta(days=2, milliseconds=-1), "now"),
    "just now": (timedelta(0), "now"),
    "ahead, by the clock of its source": (timedelta(hours=-20), "now"),
}


@pytest.mark.parametrize(("age", "basis"), AGES.values(), ids=AGES)
def test_an_answer_is_about_now_unless_nothing_has_happened_for_more_than_two_days(age: timedelta, basis: str) -> None:
    newest = NOW - age
    assert answer_moment(newest, NOW) == (newest if basis == "newest event" else NOW, basis)


def test_without_any_event_it_is_now() -> None:
    assert answer_moment(None, NOW) == AnswerMoment(NOW, "now")
