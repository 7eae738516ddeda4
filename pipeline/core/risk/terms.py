"""The terms of the churn risk: one table, one row per term, in the order in which they are shown and added.

A new term is a row here. Its place in the policy and in the policy's file, its value and its share of the risk, its
sentence for the desk, its evidence in an explanation, and when an issue is assessed again because of it, all follow.
A term that reads a fact nothing has read so far needs that fact in :mod:`.issue_facts`, or in the customer's state.

The coefficients are priors: their signs and their order follow the literature (Knox & van Oest 2014, Maxham &
Netemeyer 2002, de Matos et al. 2007), their sizes are assumed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, log1p
from operator import attrgetter
from typing import Final, Literal

from pipeline.core.contract.events import Event
from pipeline.core.risk import wording
from pipeline.core.risk.event_routes import ANSWER, BINDING, OTHER_COMPLAINT, OWN_CONTACT, VOLUNTARY_PURCHASE, Route
from pipeline.core.risk.issue_events import IssueEvents, first_stages, longest_wait, newest_effort_answer, own_contacts
from pipeline.core.risk.issue_facts import MONTH_MS, IssueSnapshot
from pipeline.core.risk.wording import RecommendedAction
from pipeline.core.state.customer import DAY_MS

MOST_SILENCE: Final = 3.0
"""The silence term's largest value: twenty times the own mean gap."""
Placement = Literal["by sign", "between", "not told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One row: everything there is to know about a term."""

    name: str
    meaning: str
    """What the plain number is."""
    coefficient: float
    """The prior, in logits per unit."""
    value: Callable[[IssueSnapshot], float]
    """The plain number; 0 where the term has nothing to say. Of :data:`BASELINE` it must not depend on contacts."""
    curve: Callable[[float], float] | None = None
    """What the plain number goes through before the coefficient multiplies it; it leaves 0 at 0."""
    sentence: str | Callable[[float], str]
    """The plain number in words, for a person; empty where there is nothing to say."""
    placement: Placement = "by sign"
    """Where the desk reads the sentence: against or for the customer, between the two, or nowhere."""
    action: RecommendedAction | None = None
    """What the desk is advised to do when the term has a value."""
    evidence: Callable[[IssueEvents], Sequence[Event]] | None
    """The events behind the value; ``None``: it rests on no single event."""
    changed_by: tuple[Route, ...]
    """The ways in which an event can change the value."""
    always_shown: bool = False
    """Whether it is among the contributions when its value is 0, too."""


def _silence(issue: IssueSnapshot) -> float:
    if not issue.bought:
        return 0.0
    span = issue.bought.bit_length() - 1
    quiet = issue.at // DAY_MS - issue.inputs.first_day - span
    mean_gap = (issue.gap_days + span) / issue.bought.bit_count()
    return min(MOST_SILENCE, log(quiet / mean_gap)) if quiet > mean_gap else 0.0


def _channel_switch(issue: IssueSnapshot) -> float:
    return float(min(3, len({contact.channel for contact in issue.begun}) - 1)) if len(issue.begun) > 1 else 0.0


def _detractor(issue: IssueSnapshot) -> float:
    for answered_at, is_detractor in issue.inputs.detractor:
        if answered_at <= issue.at:
            return is_detractor
    return 0.0


def _effort(issue: IssueSnapshot) -> float:
    for answered_at, effort, contact_id in issue.inputs.effort:
        if answered_at <= issue.at and any(contact.contact_id == contact_id for contact in issue.begun):
            return effort
    return 0.0


def _earlier_complaint(issue: IssueSnapshot) -> float:
    if not issue.inputs.elsewhere:
        return 0.0
    newest = {issue_id: opened for issue_id, opened in issue.inputs.elsewhere if opened <= issue.at}
    return sum((exp((opened - issue.at) / MONTH_MS) for opened in newest.values()), 0.0)


def _bought_again(issue: IssueSnapshot) -> float:
    """Whether there was a purchase occasion on a day after that of the last contact."""
    if issue.last is None:
        return 0.0
    return 1.0 if issue.bought >> max(0, issue.last.last_at // DAY_MS + 1 - issue.inputs.first_day) else 0.0


BASELINE: Final = (
    Term(
        name="prior_purchases",
        meaning="days with a voluntary purchase after the first such day; the logarithm of 1 + the number counts",
        coefficient=-0.25,
        value=lambda issue: float(issue.bought.bit_count() - 1) if issue.bought else 0.0,
        curve=log1p,
        sentence=wording.repeat_purchases,
        evidence=lambda events: events.bought,
        changed_by=(VOLUNTARY_PURCHASE,),
        always_shown=True,
    ),
    Term(
        name="silence",
        meaning="logarithm of the days since the last voluntary purchase over the own mean gap, 0 to 3",
        coefficient=0.3,
        value=_silence,
        sentence="They have not bought for longer than is usual for them.",
        evidence=lambda events: events.bought[-1:],
        changed_by=(VOLUNTARY_PURCHASE,),
    ),
    Term(
        name="contract",
        meaning="1 while a contract holds the customer; it releases them at its notice date",
        coefficient=-1.0,
        value=lambda issue: 1.0 if issue.inputs.bound_from <= issue.at < issue.inputs.bound_until else 0.0,
        sentence="A contract still holds them: that hides the risk, it is no loyalty.",
        placement="between",
        evidence=None,
        changed_by=(BINDING,),
    ),
)
"""The terms of the risk before the contact."""
ABOUT_ISSUE: Final = (
    Term(
        name="contact",
        meaning="1: a contact is never good news for loyalty",
        coefficient=0.3,
        value=lambda issue: 1.0,
        sentence="They had to contact us at all.",
        placement="not told",  # the desk knows that there was a contact
        evidence=own_contacts,
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="repeat_contact",
        meaning="further contacts on the issue within 30 days, at most 4",
        coefficient=0.7,
        value=lambda issue: float(min(4, issue.recent - 1)) if issue.recent > 1 else 0.0,
        sentence=lambda value: f"They had to contact us {int(value) + 1} times about it within 30 days.",
        evidence=own_contacts,
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="transfer",
        meaning="how often the customer was passed on, at most 4",
        coefficient=0.25,
        value=lambda issue: float(min(4, issue.transfers)) if issue.transfers else 0.0,
        sentence=wording.transfers,
        evidence=lambda events: [stage for stage in events.about if stage.transfers],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="channel_switch",
        meaning="further channels on the issue, at most 3",
        coefficient=0.3,
        value=_channel_switch,
        sentence=lambda value: f"They had to use {int(value) + 1} channels.",
        evidence=own_contacts,
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="information_repeated",
        meaning="1 when the customer had to say it again",
        coefficient=0.4,
        value=attrgetter("information_repeated"),
        sentence="They had to explain it again.",
        evidence=lambda events: [stage for stage in events.about if stage.information_repeated],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="waiting",
        meaning="the longest wait in units of 10 minutes, at most an hour",
        coefficient=0.15,
        value=lambda issue: min(6.0, issue.waiting_seconds / 600) if issue.waiting_seconds else 0.0,
        sentence=wording.waiting,
        evidence=longest_wait,
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="self_service_failed",
        meaning="1 when the customer tried self-service first",
        coefficient=0.2,
        value=attrgetter("self_service_first"),
        sentence="They tried to help themselves first and could not.",
        evidence=lambda events: [stage for stage in events.about if stage.self_service_first],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="detractor",
        meaning="1 when the newest NPS answer is 0 to 6",
        coefficient=0.8,
        value=_detractor,
        sentence="They said they would not recommend us.",
        action=wording.CALL_BACK,
        evidence=lambda events: [answer for answer in events.answers if answer.instrument == "nps"][-1:],
        changed_by=(ANSWER,),
    ),
    Term(
        name="effort",
        meaning="1 minus the ease, 0 to 1, of the newest effort answer about the issue",
        coefficient=1.0,
        value=_effort,
        sentence="They said it was hard to get this solved.",
        action=wording.CALL_BACK,
        evidence=newest_effort_answer,
        changed_by=(ANSWER, OWN_CONTACT),
    ),
    Term(
        name="unresolved",
        meaning="1 while the last contact is not called solved",
        coefficient=0.8,
        value=lambda issue: 1.0 - issue.solved,
        sentence="The problem is not solved yet.",
        action=wording.SOLVE,
        evidence=lambda events: events.about[-1:],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="recovered",
        meaning="1 when the last contact is called solved",
        coefficient=-0.2,  # smaller in size than unresolved: recovery almost never fully offsets
        value=attrgetter("solved"),
        sentence="The problem was solved.",
        evidence=lambda events: events.about[-1:],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="reopened",
        meaning="1 when a contact followed one that was called solved",
        coefficient=0.6,
        value=attrgetter("reopened"),
        sentence="It was called solved and came back.",
        evidence=lambda events: [stage for stage in events.about if stage.resolved or stage.stage == "resolved"],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="cancellation",
        meaning="1 when the customer asked to cancel",
        coefficient=1.6,
        value=attrgetter("cancellation"),
        sentence="They asked to cancel.",
        action=wording.CALL_TODAY,
        evidence=lambda events: [stage for stage in events.about if stage.kind == "cancellation"],
        changed_by=(OWN_CONTACT,),
    ),
    Term(
        name="earlier_complaint",
        meaning="for each other issue with a complaint, exp(-days since / 30)",
        coefficient=0.7,
        value=_earlier_complaint,
        sentence="They also complained about something else, not long ago.",
        evidence=lambda events: first_stages([stage for stage in events.elsewhere if stage.kind == "complaint"]),
        changed_by=(OTHER_COMPLAINT,),
    ),
    Term(
        name="bought_again",
        meaning="1 after a voluntary purchase on a later day than the last contact",
        coefficient=-1.2,
        value=_bought_again,
        sentence="They bought again after the contact.",
        evidence=lambda events: [e for e in events.bought if e.occurred_at > events.about[-1].occurred_at][:1],
        changed_by=(VOLUNTARY_PURCHASE, OWN_CONTACT),
    ),
)
"""The terms of what happened about the issue; they fade as time passes."""
TABLE: Final = (*BASELINE, *ABOUT_ISSUE)
BASELINE_TERMS: Final = tuple([term.name for term in BASELINE])
TERMS: Final = tuple([term.name for term in TABLE])
"""The names of all terms, in the order in which they are shown and added; the intercept is not among them."""
PRIOR_COEFFICIENTS: Final = tuple([term.coefficient for term in TABLE])
BY_NAME: Final = {term.name: term for term in TABLE}
