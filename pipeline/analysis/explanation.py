"""Explains a customer's churn risk at a moment, from the log; the warehouse only says what the answer moment is."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import log
from typing import Any, NamedTuple

from pipeline import kafka
from pipeline.analysis import answer_moments
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.core.contract.moments import milliseconds
from pipeline.core.contract.naming import may_name
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.replay import in_order, retold
from pipeline.core.risk.alert_text import history, sentence
from pipeline.core.risk.assessment import RiskPolicy, assess, contributions, sigmoid
from pipeline.core.risk.evidence import term_evidence
from pipeline.core.risk.issue_events import issue_events
from pipeline.core.risk.issue_facts import issues_of, risk_inputs
from pipeline.core.state.customer import DAY_MS, Contact, Customer
from pipeline.erasure.erased_customers import check_not_erased
from pipeline.errors import BadEvent, NotFound, Unreachable
from pipeline.policy import policy_of
from pipeline.progress import Meter, silent
from pipeline.topics import INPUTS
from pipeline.warehouse.client import connect


class RiskFactor(NamedTuple):
    """One term: what it says, its share of the logit, and what the risk would be without it."""

    term: str
    sentence: str
    value: float
    logit: float
    risk_without: float
    event_ids: list[str]


class IssueRisk(NamedTuple):
    """The risk because of one issue, and what it is made of."""

    issue_id: str
    churn_risk_0_1: float
    churn_risk_before_0_1: float
    status: str | None
    history: str
    days_ago: int
    weight: float
    """What time leaves of what happened, 0..1."""
    factors: list[RiskFactor]


class RiskExplanation(NamedTuple):
    """All that is known about a customer's risk at a moment."""

    customer_id: str
    moment: AnswerMoment
    events: int
    model_version: str
    raise_at: float
    prospect: bool
    log_is_whole: bool
    issues: list[IssueRisk]

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        issues = [issue._asdict() | {"factors": [f._asdict() for f in issue.factors]} for issue in self.issues]
        data = self._asdict() | {"issues": issues}
        return {"customer_id": data.pop("customer_id")} | answer_moments.as_data(data.pop("moment")) | data


class CustomerEvents(NamedTuple):
    """A customer's events in the log, each once, oldest first by their own time."""

    events: list[Event]
    log_is_whole: bool


def find(settings: Settings, customer_id: str, meter: Meter = silent) -> CustomerEvents:
    """Read the customer's partition of every input topic.

    Raises
    ------
    NotFound
        The log holds no usable event of this customer.
    Unreachable
        Kafka does not answer.
    """
    partition = partition_of(customer_id.encode(), settings.partitions)
    bounds = kafka.end_offsets(settings, INPUTS)
    whole, events = True, dict[str, Event]()
    total, read = sum(end - first for first, end in _of(bounds, partition)), 0
    with (
        kafka.reading(settings, "explain", settings.group("explain")) as reader,
        meter("Reading the log", "records") as progress,
    ):
        for topic in INPUTS:
            first, end = bounds.get((topic.name, partition), (0, 0))
            whole = whole and first == 0
            decoder = Decoder(topic.kind) if topic.kind else None
            for record in kafka.read_range(reader, settings.topic(topic.name), partition, first, end):
                read += 1
                progress(read, total)
                event = _event(record, decoder, customer_id)
                if event is not None:
                    events.setdefault(f"{topic.name}/{event.event_id}", event)
    if not events:
        raise NotFound(f"no event of customer {customer_id!r} is in the log")
    return CustomerEvents(in_order(list(events.values())), whole)


def _of(bounds: dict[tuple[str, int], tuple[int, int]], partition: int) -> Iterator[tuple[int, int]]:
    return (bound for (_, number), bound in bounds.items() if number == partition)


def _event(record: Any, decoder: Decoder | None, customer_id: str) -> Event | None:
    value = record.value()
    if decoder is None or not value or not may_name(customer_id.encode(), value):
        return None
    try:
        event = decoder(value, datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)).event
    except BadEvent:
        return None
    return event if event.customer_id == customer_id else None


def explain(settings: Settings, customer_id: str, at: datetime | None = None, meter: Meter = silent) -> RiskExplanation:
    """Why the risk was what it was at ``at``; without it, at the answer moment.

    Raises
    ------
    NotFound
        Nothing of this customer is in the log, or nothing had happened by then.
    Unreachable
        Kafka does not answer; or the warehouse, where no moment was named.
    Refused
        The risk policy cannot be read.
    """
    policy = policy_of(settings)
    check_not_erased(settings, customer_id)
    moment = _moment(settings, at)
    return explained(find(settings, customer_id, meter), customer_id, moment, policy)


def _moment(settings: Settings, at: datetime | None) -> AnswerMoment:
    if at is not None:
        return AnswerMoment(at, "asked for")
    try:
        return answer_moments.moment_of_answer(connect(settings, seconds=30), None)
    except Unreachable as away:
        raise Unreachable(f"{away}; it knows the newest event, and is not asked with --at TIME") from None


def explained(events: CustomerEvents, customer_id: str, moment: AnswerMoment, policy: RiskPolicy) -> RiskExplanation:
    """The explanation from a customer's events.

    Raises
    ------
    NotFound
        Nothing had happened by then.
    """
    at = moment.at
    by_then = [event for event in events.events if event.occurred_at <= at]
    if not by_then:
        first = events.events[0].occurred_at
        raise NotFound(f"nothing had happened by {at:%Y-%m-%d %H:%M} UTC; the first event is of {first:%Y-%m-%d}")
    customer = _folded(by_then, policy)
    issues = [_issue(customer, name, by_then, milliseconds(at), policy) for name in issues_of(customer.contacts)]
    issues.sort(key=lambda issue: -issue.churn_risk_0_1)
    return RiskExplanation(
        customer_id,
        moment,
        len(by_then),
        policy.version,
        policy.raise_at,
        customer.is_prospect,
        events.log_is_whole,
        [] if customer.is_prospect else issues,
    )


def _folded(events: Sequence[Event], policy: RiskPolicy) -> Customer:
    customer = Customer(customer_id=events[0].customer_id)
    for _, after in retold(events, policy):
        customer = after
    return customer


def _issue(customer: Customer, issue_id: str, events: Sequence[Event], at: int, policy: RiskPolicy) -> IssueRisk:
    contacts = issues_of(customer.contacts)[issue_id]
    now = assess(risk_inputs(customer, contacts), at, policy)
    logit = log(now.after / (1 - now.after))
    facts = issue_events(events, issue_id)
    factors = [
        RiskFactor(
            c.term,
            sentence(c),
            c.value,
            c.logit,
            sigmoid(logit - c.logit),
            term_evidence(c.term, facts),
        )
        for c in contributions(now, policy)
    ]
    status = next((alert.status for alert in customer.alerts if alert.issue_id == issue_id), None)
    days = _days_ago(contacts, at)
    return IssueRisk(issue_id, now.after, now.before, status, history(contacts), days, now.weight, factors)


def _days_ago(contacts: Sequence[Contact], at: int) -> int:
    return max(0, at - max(contact.last_at for contact in contacts)) // DAY_MS
