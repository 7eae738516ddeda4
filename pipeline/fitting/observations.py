"""From a history of events to observations: one per service contact, what was known then, and what came of it.

Rules
-----
- What was known: the customer is folded event by event in event time, and the terms of the risk are taken when the
  newest stage within a day of the contact's opening was known. Nothing later can show in them.
- What came of it: *silent* means no voluntary purchase within the horizon after that moment. The horizon is
  ``gaps`` times the customer's own mean gap between purchase days so far, with one typical gap thrown in, so that a
  customer without a rhythm of their own has the typical one; it has a shortest and a longest length.
- An observation whose horizon reaches past the end of the history is left out (censored): nobody knows yet. That holds
  also when the customer has bought already, for else only the returned of the last months would be counted.
- Prospects, who have not bought yet, have nothing to fall silent from.
- *Acted* says that the desk acted on the issue's alert by thirty days after.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact
from pipeline.core.contract.moments import milliseconds
from pipeline.core.replay import in_order, retold
from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.assessment import assess, regressors
from pipeline.core.risk.issue_facts import risk_inputs
from pipeline.core.risk.terms import TERMS
from pipeline.core.state.customer import DAY_MS, Customer, recency_days, repeat_occasions
from pipeline.fitting.scoring import Floats

Per = Literal["contact", "issue"]
"""One observation for each contact, or one for each issue, at its last contact."""

SETTLED_MS = 30 * DAY_MS
"""A contact is the last of its issue when none follows within this time; an action within it is the answer to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long nothing has to be bought for a customer to count as silent."""

    gaps: float = 3.0
    shortest_days: float = 60.0
    longest_days: float = 365.0

    def horizon(self, days: Floats, repeats: Floats, typical_days: float) -> Floats:
        """Horizon in milliseconds after ``repeats`` purchase days that came back over ``days`` days."""
        rhythm = (days + typical_days) / (repeats + 1)
        bounded = np.clip(self.gaps * rhythm, self.shortest_days, self.longest_days)
        return np.asarray(np.rint(bounded * DAY_MS))


class Seen(NamedTuple):
    """One contact as it was known when it ended, and the moments that tell what came after."""

    customer: int
    at: int
    terms: tuple[float, ...]
    """The number of each of :data:`~pipeline.core.risk.terms.TERMS`."""
    recency_days: float
    """Days since the last voluntary purchase."""
    repeats: int
    active_days: int
    next_purchase_at: float
    """Infinite when there is none."""
    next_contact_at: float
    """About the same issue; infinite when there is none."""
    acted_at: float
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Observations:
    """Contacts and what came of them, oldest first; arrays of one length."""

    customer: NDArray[np.int64]
    at: Floats
    """Milliseconds."""
    known_at: Floats
    """When the outcome is known: the end of the horizon."""
    terms: Floats
    """A row of numbers per observation, a column per term."""
    recency_days: Floats
    acted: NDArray[np.bool_]
    silent: Floats
    synthetic: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.at)

    def where(self, chosen: NDArray[np.bool_]) -> "Observations":
        """Only the chosen ones."""
        return Observations(
            self.customer[chosen],
            self.at[chosen],
            self.known_at[chosen],
            self.terms[chosen],
            self.recency_days[chosen],
            self.acted[chosen],
            self.silent[chosen],
            self.synthetic[chosen],
        )


@dataclass(slots=True)
class History:
    """Everything seen, the moment up to which it reaches, and every gap between two purchase days (end, days)."""

    seen: list[Seen]
    ends_at: int
    gaps: list[tuple[int, int]]


def gather(customers: Iterable[Sequence[Event]]) -> History:
    """Read the events of each customer (any order, each event once)."""
    history = History([], 0, [])
    for number, events in enumerate(customers):
        ordered = in_order(events)
        if ordered:
            history.ends_at = max(history.ends_at, milliseconds(ordered[-1].occurred_at))
        bought = _bought(ordered)
        days = sorted({at // DAY_MS for at in bought})
        history.gaps.extend((day * DAY_MS, day - before) for before, day in pairwise(days))
        history.seen.extend(_seen(number, ordered, bought))
    return history


def _bought(events: Sequence[Event]) -> list[int]:
    """The moments of voluntary purchases."""
    return [
        milliseconds(event.occurred_at)
        for event in events
        if isinstance(event, Purchase) and event.refund_of is None and not event.obligated
    ]


def _seen(number: int, events: Sequence[Event], bought: list[int]) -> Iterator[Seen]:
    contacts: dict[str, tuple[str, int, Seen]] = {}
    for event, state in retold(events):
        if isinstance(event, ServiceContact) and state.first_purchase_at is not None and bought:
            at, opened = milliseconds(event.occurred_at), milliseconds(event.opened_at)
            if (event.contact_id not in contacts or at - opened <= DAY_MS) and bought[0] <= at:
                contacts[event.contact_id] = event.issue_id, opened, _known(number, state, event, at, bought)
    outcomes = [event for event in events if isinstance(event, AlertOutcome) and event.action != "none"]
    for issue_id, opened, seen in contacts.values():
        later = [other for issue, other, _ in contacts.values() if issue == issue_id and other > opened]
        identity = alert_id(events[0].customer_id, issue_id)
        acted = [milliseconds(outcome.occurred_at) for outcome in outcomes if outcome.alert_id == identity]
        yield seen._replace(next_contact_at=min(later, default=float("inf")), acted_at=min(acted, default=float("inf")))


def _known(number: int, state: Customer, event: ServiceContact, at: int, bought: list[int]) -> Seen:
    issue = [contact for contact in state.contacts if contact.issue_id == event.issue_id]
    nothing = float("inf")
    return Seen(
        customer=number,
        at=at,
        terms=regressors(assess(risk_inputs(state, issue), at)),
        recency_days=(at - max(moment for moment in bought if moment <= at)) / DAY_MS,
        repeats=repeat_occasions(state),
        active_days=recency_days(state),
        next_purchase_at=min((moment for moment in bought if moment > at), default=nothing),
        next_contact_at=nothing,
        acted_at=nothing,
        synthetic=event.synthetic,
    )


def typical_gap_days(history: History, before: float) -> float:
    """The median gap between two purchase days of a customer, of gaps that were over by ``before``; NaN without any."""
    found = [days for at, days in history.gaps if at < before]
    return float(np.median(found)) if found else float("nan")


def observations(history: History, silence: Silence, typical_days: float, per: Per = "contact") -> Observations:
    """What came of each contact, or of each issue, as far as it is known at the end of the history."""
    chosen = sorted(
        (s for s in history.seen if per == "contact" or s.next_contact_at > s.at + SETTLED_MS),
        key=lambda s: (s.at, s.customer),
    )
    at = np.array([s.at for s in chosen], dtype=np.float64)
    horizon = silence.horizon(
        np.array([s.active_days for s in chosen], dtype=np.float64),
        np.array([s.repeats for s in chosen], dtype=np.float64),
        typical_days,
    )
    known_at = at + horizon
    bought = np.array([s.next_purchase_at for s in chosen])
    found = Observations(
        np.array([s.customer for s in chosen], dtype=np.int64),
        at,
        known_at,
        np.array([s.terms for s in chosen], dtype=np.float64).reshape(len(chosen), len(TERMS)),
        np.array([s.recency_days for s in chosen], dtype=np.float64),
        np.array([s.acted_at for s in chosen]) <= at + SETTLED_MS,
        (bought > known_at).astype(np.float64),
        np.array([s.synthetic for s in chosen], dtype=np.bool_),
    )
    return found.where(known_at <= history.ends_at)
