"""The ways in which an event reaches the terms of the risk: which issues it can change, and from which moment on.

A row of the table of terms names the routes that can change its value. Everything a value rests on has a moment in
event time: an event that shows only from a moment later than every moment of an issue leaves that issue as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from pipeline.core.contract.events import Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.risk.issue_facts import PATIENCE_MS, issues_of
from pipeline.core.state.customer import ANSWERS_KEPT, CONTACTS_KEPT, DAY_MS, Contact, Customer, recency_days

ALL: Final = ChangedIssues()


@final
class EventChange:
    """One event, and the customer before and after it."""

    def __init__(self, before: Customer, after: Customer, event: Event, at: int) -> None:
        self.before = before
        self.after = after
        self.event = event
        self.at = at
        self.newest = max(before.last_event_at, before.contacts[-1].opened_at, before.looked_at)
        """The last moment at which an issue was looked at; ``before`` has a contact."""
        self.contact_before: Contact | None = None
        self.contact_after: Contact | None = None
        """The contact that a service contact's event is about."""
        if isinstance(event, ServiceContact):
            self.contact_before = _contact(before, event.contact_id)
            self.contact_after = _contact(after, event.contact_id)


@dataclass(frozen=True, slots=True)
class Route:
    """One way in which events of a kind can change issues."""

    kind: type[Event]
    changed: Callable[[EventChange], ChangedIssues | None]
    """The issues that can have changed; ``None`` for none."""


def _binding(change: EventChange) -> ChangedIssues | None:
    return ALL if isinstance(change.event, Purchase) and change.event.bindings else None


def _voluntary_purchase(change: EventChange) -> ChangedIssues | None:
    """It shows from its day on, as experience and as a return to issues from which nobody had returned."""
    before = change.before
    if before.occasions == change.after.occasions:
        return None
    since = change.at // DAY_MS * DAY_MS
    if since <= change.newest:
        return ALL
    returned = before.occasions_from + recency_days(before) if before.occasions else 0
    return _some(frozenset([c.issue_id for c in change.after.contacts if c.last_at // DAY_MS >= returned]), since)


def _answer(change: EventChange) -> ChangedIssues | None:
    """It shows from its moment on, and adds a moment to the issue it is about."""
    before, event, at = change.before, change.event, change.at
    if at <= change.newest or len(before.answers) >= ANSWERS_KEPT or not isinstance(event, SurveyResponse):
        return ALL
    if event.contact_id is not None:
        return _some(frozenset([c.issue_id for c in before.contacts if c.contact_id == event.contact_id]), at)
    issues = frozenset(
        issue_id
        for issue_id, issue in issues_of(before.contacts).items()
        if issue[0].opened_at <= at <= max(contact.last_at for contact in issue) + PATIENCE_MS
    )
    return _some(issues, at)


def _own_contact(change: EventChange) -> ChangedIssues | None:
    """It changes its own issue, the past of it too; all where it changes which contacts an issue has."""
    known, now, event = change.contact_before, change.contact_after, change.event
    if now is None or not isinstance(event, ServiceContact) or now.issue_id != event.issue_id:
        return ALL
    moved = len(change.before.contacts) >= CONTACTS_KEPT if known is None else known.issue_id != now.issue_id
    return ALL if moved else ChangedIssues(frozenset((event.issue_id,)))


def _other_complaint(change: EventChange) -> ChangedIssues | None:
    """A complaint shows in other issues from the moment it was opened."""
    known, now = change.contact_before, change.contact_after
    if now is None:
        return ALL
    if known is None:
        return ALL if now.kind == "complaint" and now.opened_at <= change.newest else None
    return ALL if (known.kind, known.opened_at) != (now.kind, now.opened_at) else None


BINDING: Final = Route(Purchase, _binding)
VOLUNTARY_PURCHASE: Final = Route(Purchase, _voluntary_purchase)
ANSWER: Final = Route(SurveyResponse, _answer)
OWN_CONTACT: Final = Route(ServiceContact, _own_contact)
OTHER_COMPLAINT: Final = Route(ServiceContact, _other_complaint)


def _some(issues: frozenset[str], since: int) -> ChangedIssues | None:
    return ChangedIssues(issues, since) if issues else None


def _contact(customer: Customer, contact_id: str) -> Contact | None:
    for contact in customer.contacts:
        if contact.contact_id == contact_id:
            return contact
    return None
