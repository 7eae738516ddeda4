"""A customer's events sorted by what they have to do with one issue, and the choices among them that terms share."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.contract.events import Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.risk.issue_facts import EFFORT_INSTRUMENTS


class IssueEvents(NamedTuple):
    """A customer's events by a moment, oldest first and each once, sorted for one issue."""

    about: Sequence[ServiceContact]
    elsewhere: Sequence[ServiceContact]
    answers: Sequence[SurveyResponse]
    bought: Sequence[Purchase]
    """Voluntary purchases."""


def issue_events(events: Sequence[Event], issue_id: str) -> IssueEvents:
    """Sort a customer's events, oldest first and each once."""
    stages = [event for event in events if isinstance(event, ServiceContact)]
    return IssueEvents(
        [stage for stage in stages if stage.issue_id == issue_id],
        [stage for stage in stages if stage.issue_id != issue_id],
        [event for event in events if isinstance(event, SurveyResponse)],
        [e for e in events if isinstance(e, Purchase) and e.refund_of is None and not e.obligated],
    )


def first_stages(stages: Sequence[ServiceContact]) -> Sequence[ServiceContact]:
    """The first stage of each contact."""
    first: dict[str, ServiceContact] = {}
    for stage in stages:
        first.setdefault(stage.contact_id, stage)
    return list(first.values())


def own_contacts(events: IssueEvents) -> Sequence[Event]:
    """The first stage of each contact about the issue."""
    return first_stages(events.about)


def longest_wait(events: IssueEvents) -> Sequence[Event]:
    """The stage with the longest wait of the contacts about the issue."""
    return [max(events.about, key=lambda stage: stage.waiting_seconds)]


def newest_effort_answer(events: IssueEvents) -> Sequence[Event]:
    """The newest effort answer about a contact of the issue."""
    contacts = {stage.contact_id for stage in events.about}
    return [a for a in events.answers if a.instrument in EFFORT_INSTRUMENTS and a.contact_id in contacts][-1:]
