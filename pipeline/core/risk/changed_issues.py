"""Which issues an event can change: the shortcut past looking at all of them again.

Everything the risk of an issue rests on has a moment in event time. An event that can only be seen from a moment on
that is later than every moment of an issue leaves that issue as it was.
"""

from typing import Final

from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.risk.alerts import PATIENCE_MS, issues_of
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.state.customer import ANSWERS_KEPT, CONTACTS_KEPT, DAY_MS, Contact, Customer, recency_days

ALL: Final = ChangedIssues()


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
    if not before.contacts:
        return ALL
    newest = max(before.last_event_at, before.contacts[-1].opened_at, before.looked_at)
    match event:
        case Purchase():
            return _by_purchase(before, after, event, at, newest)
        case SurveyResponse():
            return _by_answer(before, event, at, newest)
        case ServiceContact():
            return _by_contact(before, after, event, newest)
        case AlertOutcome():
            return ALL


def _some(issues: frozenset[str], since: int) -> ChangedIssues | None:
    return ChangedIssues(issues, since) if issues else None


def _by_purchase(before: Customer, after: Customer, event: Purchase, at: int, newest: int) -> ChangedIssues | None:
    """A purchase shows from its day on, as experience and as a return to issues nobody had returned from."""
    if before.first_purchase_at != after.first_purchase_at or event.bindings:
        return ALL
    if before.occasions == after.occasions:
        return None
    since = at // DAY_MS * DAY_MS
    if since <= newest:
        return ALL
    returned = before.occasions_from + recency_days(before) if before.occasions else 0
    return _some(frozenset([c.issue_id for c in after.contacts if c.last_at // DAY_MS >= returned]), since)


def _by_answer(before: Customer, event: SurveyResponse, at: int, newest: int) -> ChangedIssues | None:
    """An answer shows from its moment on, and adds a moment to the issue it is about."""
    if at <= newest or len(before.answers) >= ANSWERS_KEPT:
        return ALL
    if event.contact_id is not None:
        return _some(frozenset([c.issue_id for c in before.contacts if c.contact_id == event.contact_id]), at)
    issues = frozenset(
        issue_id
        for issue_id, issue in issues_of(before.contacts).items()
        if issue[0].opened_at <= at <= max(contact.last_at for contact in issue) + PATIENCE_MS
    )
    return _some(issues, at)


def _by_contact(before: Customer, after: Customer, event: ServiceContact, newest: int) -> ChangedIssues:
    """A contact changes its own issue, its past too; others only as a complaint, from the moment it was opened."""
    known = _contact(before, event.contact_id)
    now = _contact(after, event.contact_id)
    own = ChangedIssues(frozenset((event.issue_id,)))
    if now is None or (known is None and len(before.contacts) >= CONTACTS_KEPT):
        return ALL
    if known is None:
        return own if now.kind != "complaint" or now.opened_at > newest else ALL
    same = (known.issue_id, known.kind, known.opened_at) == (now.issue_id, now.kind, now.opened_at)
    return own if same and now.issue_id == event.issue_id else ALL


def _contact(customer: Customer, contact_id: str) -> Contact | None:
    for contact in customer.contacts:
        if contact.contact_id == contact_id:
            return contact
    return None
