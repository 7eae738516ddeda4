"""The events that a risk rests on: those of an issue in an alert, and those of one term in an explanation."""

from pipeline.core.risk.issue_events import IssueEvents
from pipeline.core.risk.terms import BY_NAME
from pipeline.core.state.customer import Contact, Customer


def issue_evidence(customer: Customer, issue: list[Contact]) -> list[str]:
    """The ids of the events an issue's risk rests on: the newest of each contact about it, and the answers to those."""
    evidence = [contact.last_event for contact in issue]
    if customer.answers:
        ids = {contact.contact_id for contact in issue}
        evidence += [answer.event_id for answer in customer.answers if answer.contact_id in ids]
    return evidence


def term_evidence(term: str, events: IssueEvents) -> list[str]:
    """The ids of the events behind a term of an issue's risk; none for a term that rests on no single event."""
    row = BY_NAME.get(term)
    if row is None or row.evidence is None:
        return []
    return [event.event_id for event in row.evidence(events)]
