"""The moment of a command's answer: the one that was asked for, or the answer moment of what the warehouse holds."""

from datetime import UTC, datetime
from typing import Any

from pipeline.core.answer_moment import AnswerMoment, answer_moment
from pipeline.core.contract.moments import instant, iso
from pipeline.errors import NotFound
from pipeline.warehouse.client import Warehouse

_NEWEST_EVENT = "SELECT toUnixTimestamp64Milli(maxOrNull(last_event_at)) FROM customer_states FINAL"


def moment_of_answer(warehouse: Warehouse, at: datetime | None) -> AnswerMoment:
    """The moment of an answer for which ``at`` was asked, or nothing."""
    if at is not None:
        return AnswerMoment(at.astimezone(UTC), "asked for")
    newest = warehouse.value(_NEWEST_EVENT)
    now = datetime.now(UTC)
    whole = now.replace(microsecond=now.microsecond // 1_000 * 1_000)  # the warehouse knows milliseconds
    return answer_moment(None if newest is None else instant(int(newest)), whole)


def customers_known(warehouse: Warehouse) -> int:
    """How many customers there are.

    Raises
    ------
    NotFound
        There is none.
    """
    customers = int(warehouse.value("SELECT count() FROM customer_states FINAL"))
    if not customers:
        raise NotFound("there is no customer in the warehouse (yet); `loyalty status` shows how far behind it is")
    return customers


def in_sql(at: datetime) -> str:
    """A moment as the engine reads it."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def as_data(moment: AnswerMoment) -> dict[str, Any]:
    """The moment for a program."""
    return {"at": iso(moment.at), "at_basis": moment.basis}
