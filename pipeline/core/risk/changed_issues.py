"""Which issues an event can change: the shortcut past assessing all of them again.

It follows from the table of terms: an event changes what the routes of the terms say. Two events change alerts and no
term: the first purchase, before which there is none, and an outcome, which can close one.
"""

from typing import Final

from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.risk.event_routes import ALL, EventChange, Route
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.risk.terms import TABLE
from pipeline.core.state.customer import Customer

KINDS: Final[tuple[type[Event], ...]] = (Purchase, ServiceContact, SurveyResponse)


def _routes() -> dict[bytes, tuple[Route, ...]]:
    """The routes of the events of each topic, each route once."""
    routes = dict.fromkeys([route for term in TABLE for route in term.changed_by])
    return {kind.topic_code: tuple([route for route in routes if route.kind is kind]) for kind in KINDS}


_ROUTES: Final = _routes()


def merged(first: ChangedIssues | None, later: ChangedIssues | None) -> ChangedIssues | None:
    """What two events of one customer, one after the other, can have changed together."""
    if first is None or later is None:
        return later if first is None else first
    if first.issues is None or later.issues is None:
        return ALL
    both = first.since is not None and later.since is not None
    return ChangedIssues(first.issues | later.issues, min(first.since or 0, later.since or 0) if both else None)


def affected(before: Customer, after: Customer, event: Event, at: int) -> ChangedIssues | None:
    """What ``event``, which made ``after`` from ``before``, can have changed; ``None`` for nothing."""
    is_outcome = isinstance(event, AlertOutcome)
    if is_outcome or not before.contacts or before.first_purchase_at != after.first_purchase_at:
        return ALL
    change = EventChange(before, after, event, at)
    changed: ChangedIssues | None = None
    for route in _ROUTES[event.topic_code]:
        by_route = route.changed(change)
        if by_route is not None:
            changed = by_route if changed is None else merged(changed, by_route)
    return changed
