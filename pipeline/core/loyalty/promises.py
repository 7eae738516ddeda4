"""Promises to the customer, kept and broken. A broken promise lowers attachment, a kept one does not raise it."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from pipeline.core.definition import Definition
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.state.customer import Contact, Customer

Verdict = Literal["kept", "late", "missed", "open", "needless"]


class PromiseCounts(Struct, frozen=True):
    """Promises to one customer: about contacts that are remembered, and deliveries ever."""

    promises_kept: int
    promises_late: int
    promises_missed: int
    promises_open: int

    @property
    def broken(self) -> int:
        """Promises that were not kept in time."""
        return self.promises_late + self.promises_missed


def promises(customer: Customer, now: int) -> PromiseCounts:
    """The promises made to a customer, as they stand at ``now``."""
    verdicts = [judged(*promise, now) for contact in customer.contacts for promise in promised(contact)]
    stated = customer.stated
    return PromiseCounts(
        verdicts.count("kept") + (stated.deliveries_on_time if stated else 0),
        verdicts.count("late") + (stated.deliveries_late if stated else 0),
        verdicts.count("missed"),
        verdicts.count("open"),
    )


def promised(contact: Contact) -> Iterator[tuple[int, int | None, int | None]]:
    """What was promised about a contact: the moment promised, when it was done, and when the matter was settled."""
    dates = contact.promises
    if dates is not None:
        solved_at = contact.last_at if contact.resolved else None
        for by, kept_at in ((dates.callback_by, dates.called_back_at), (dates.answer_by, dates.answered_at)):
            if by is not None:
                yield by, kept_at, solved_at


def judged(promised: int, kept_at: int | None, solved_at: int | None, now: int) -> Verdict:
    """How a promise for the moment ``promised`` stands at ``now``.

    ``solved_at`` is when the matter was settled: a promise not due by then had become needless.
    """
    if kept_at is not None and kept_at <= now:
        return "kept" if kept_at <= promised else "late"
    if solved_at is not None and solved_at <= min(promised, now):
        return "needless"
    return "open" if now <= promised else "missed"


def lost_by(broken: int, norms: Norms = PRIORS) -> float:
    """What broken promises take from attachment."""
    return min(norms.broken_promises_most, broken * norms.broken_promise)


DEFINITIONS = (
    Definition(
        "promises_kept",
        1,
        "Promised call backs, answers and deliveries that came in time. They raise nothing: that is what was owed.",
    ),
    Definition("promises_late", 1, "Promised call backs, answers and deliveries that came late."),
    Definition(
        "promises_missed",
        1,
        "Promised call backs and answers that are overdue with no sign of them, the matter not settled by then.",
    ),
    Definition("promises_open", 1, "Promised call backs and answers that are not due yet."),
)
