"""Which events a term of the risk rests on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.core.contract.events import Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.risk.assessment import EFFORT


class Known(NamedTuple):
    """A customer's events by a moment, oldest first, sorted by what they have to do with one issue."""

    about: Sequence[ServiceContact]
    elsewhere: Sequence[ServiceContact]
    answers: Sequence[SurveyResponse]
    bought: Sequence[Purchase]
    """Voluntary purchases."""


def known(events: Sequence[Event], issue_id: str) -> Known:
    """Sort a customer's events, oldest first and each once, for :func:`evidence`."""
    stages = [event for event in events if isinstance(event, ServiceContact)]
    return Known(
        [stage for stage in stages if stage.issue_id == issue_id],
        [stage for stage in stages if stage.issue_id != issue_id],
        [event for event in events if isinstance(event, SurveyResponse)],
        [e for e in events if isinstance(e, Purchase) and e.refund_of is None and not e.obligated],
    )


def evidence(term: str, facts: Known) -> list[str]:
    """The ids of the events behind a term of an issue's risk; none for a term that rests on no event."""
    rests_on = RESTS_ON.get(term)
    return [event.event_id for event in rests_on(facts)] if rests_on is not None else []


def _firsts(stages: Sequence[ServiceContact]) -> Sequence[ServiceContact]:
    """The first stage of each contact."""
    first: dict[str, ServiceContact] = {}
    for stage in stages:
        first.setdefault(stage.contact_id, stage)
    return list(first.values())


def _contacts(facts: Known) -> Sequence[Event]:
    return _firsts(facts.about)


def _ease(facts: Known) -> Sequence[Event]:
    asked = {stage.contact_id for stage in facts.about}
    return [a for a in facts.answers if a.instrument in EFFORT and a.contact_id in asked][-1:]


RESTS_ON: dict[str, Callable[[Known], Sequence[Event]]] = {
    "prior_purchases": lambda facts: facts.bought,
    "silence": lambda facts: facts.bought[-1:],
    "contact": _contacts,
    "repeat_contact": _contacts,
    "channel_switch": _contacts,
    "transfer": lambda facts: [stage for stage in facts.about if stage.transfers],
    "information_repeated": lambda facts: [stage for stage in facts.about if stage.information_repeated],
    "self_service_failed": lambda facts: [stage for stage in facts.about if stage.self_service_first],
    "waiting": lambda facts: [max(facts.about, key=lambda stage: stage.waiting_seconds)],
    "detractor": lambda facts: [answer for answer in facts.answers if answer.instrument == "nps"][-1:],
    "effort": _ease,
    "unresolved": lambda facts: facts.about[-1:],
    "recovered": lambda facts: facts.about[-1:],
    "reopened": lambda facts: [stage for stage in facts.about if stage.resolved or stage.stage == "resolved"],
    "cancellation": lambda facts: [stage for stage in facts.about if stage.kind == "cancellation"],
    "earlier_complaint": lambda facts: _firsts([stage for stage in facts.elsewhere if stage.kind == "complaint"]),
    "bought_again": lambda facts: [e for e in facts.bought if e.occurred_at > facts.about[-1].occurred_at][:1],
}
"""The events behind each term."""
