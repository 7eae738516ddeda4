"""Replays a customer's history event by event: what was known after each, and the churn risk after each contact.

The events are folded in the order of their own time, by the worker's own fold. Where they arrived in another order,
this is what would have been known had they come in time; the last word is the same.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.core.contract.events import Event, ServiceContact
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import apply, look_again
from pipeline.core.risk.assessment import PRIORS, RiskPolicy, assess, contributions
from pipeline.core.risk.evidence import issue_evidence
from pipeline.core.risk.inputs import RiskAssessment
from pipeline.core.risk.issue_facts import issues_of, risk_inputs
from pipeline.core.risk.messages import Contribution
from pipeline.core.state.customer import Customer
from pipeline.core.state.marks import Older
from pipeline.errors import BadEvent


class Score(NamedTuple):
    """The churn risk because of an issue right after a stage of a contact about it."""

    event_id: str
    issue_id: str
    now: RiskAssessment
    contributions: list[Contribution]
    """The intercept first; their logits add up to the logit of ``now.after``."""
    evidence: list[str]
    """The events about the issue it rests on."""
    synthetic: bool
    """Rests on generated contacts."""


def retold(events: Sequence[Event], policy: RiskPolicy | None = None) -> Iterator[tuple[Event, Customer]]:
    """Each event of one customer, oldest first and each once, with the customer as known right after it.

    With a ``policy`` the alerts are kept up as well. What the worker could not fold either is left out.
    """
    customer = Customer(customer_id=events[0].customer_id) if events else Customer(customer_id="")
    older = Older()
    for number, event in enumerate(events):
        try:
            customer, concerned, _, _ = apply(customer, event, "log", number, older)
        except BadEvent:
            continue
        if policy is not None and concerned is not None:
            look_again(customer, concerned, event.event_id, policy)
        yield event, customer


def in_order(events: Sequence[Event]) -> list[Event]:
    """Events by their own time, oldest first."""
    return sorted(events, key=lambda event: (event.occurred_at, event.event_id))


def scores(events: Sequence[Event], policy: RiskPolicy = PRIORS) -> Iterator[Score]:
    """The risk after every stage of a contact of one customer whose ``events`` these are, in any order, each once.

    A prospect has no loyalty to lose: before the first purchase there is no score.
    """
    for event, customer in retold(in_order(events)):
        if isinstance(event, ServiceContact) and not customer.is_prospect:
            issue = issues_of(customer.contacts).get(event.issue_id)
            if issue is not None:  # None: older than the contacts that are kept
                now = assess(risk_inputs(customer, issue), milliseconds(event.occurred_at), policy)
                yield Score(
                    event.event_id,
                    event.issue_id,
                    now,
                    contributions(now, policy),
                    issue_evidence(customer, issue),
                    any(contact.synthetic for contact in issue),
                )
