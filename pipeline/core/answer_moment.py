"""The moment of an answer for which nobody named one; SQL says the same in the view ``answer_moment``.

Silence changes customers without an event. Where events keep coming, an answer is about now. Where the newest event is
older than two days, as with imported history, nothing says what happened since: the answer is about the
moment of that event.
"""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from pipeline.core.definition import Definition

CURRENT_FOR: Final = timedelta(days=2)
"""Up to this age of the newest event an answer is about now."""
Basis = Literal["asked for", "newest event", "now"]


class AnswerMoment(NamedTuple):
    """The moment of an answer, and why it is this one."""

    at: datetime
    basis: Basis


def answer_moment(newest_event: datetime | None, now: datetime) -> AnswerMoment:
    """The moment of an answer, from when the newest event of all happened; ``None``: there is no event."""
    if newest_event is not None and newest_event < now - CURRENT_FOR:
        return AnswerMoment(newest_event, "newest event")
    return AnswerMoment(now, "now")


DEFINITIONS = (
    Definition(
        "answer moment",
        1,
        "The moment an answer is about where nobody names one: now, or the newest event of all customers where that is "
        "older than two days. The same for every view, question and command.",
        "time",
    ),
    Definition("at_basis", 1, "Why an answer is about its moment: asked for, now, or the newest event."),
)
