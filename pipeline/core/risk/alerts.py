"""Alerts: when the desk is told about an issue, told more, and told that it is over.

Rules
-----
- One alert per customer and issue; its id is a hash of rule, customer and issue, so a replay raises the same alert.
- Whether an alert exists, and how it stands, is a function of the customer's facts: the issue is walked through in
  event time each time something changes, so the order in which events arrived cannot show in the result.
- The state keeps what the desk was last told; what differs from it is told, so the last message about an alert says
  the same whatever the order. Something told too early, because an
  event arrived late, is taken back with ``withdrawn``.
- No alert for a prospect: there is no loyalty to lose before the first purchase.
- An issue that is known from imported history only is told for the record, marked ``backfill``, and the desk does not
  hear of it; the first live contact or answer about it raises it.
"""

from collections.abc import Container, Iterator
from hashlib import blake2b, sha256
from math import floor

from msgspec import msgpack

from pipeline.core.contract.moments import instant
from pipeline.core.risk.alert_evaluation import EvaluatedAlert, evaluate
from pipeline.core.risk.alert_text import LEFT_ALONE, history, reasons, recommendation
from pipeline.core.risk.assessment import PRIORS, RiskPolicy, assess, contributions
from pipeline.core.risk.evidence import issue_evidence
from pipeline.core.risk.holdout import arm_of
from pipeline.core.risk.inputs import RiskAssessment
from pipeline.core.risk.issue_facts import answers_about, issues_of, risk_inputs
from pipeline.core.risk.messages import ChurnAlert, Contribution, Transition
from pipeline.core.state.customer import AlertState, Contact, Customer, Outcome

RULE = "risk_after_contact"

FINAL_RESULTS = ("retained", "lost", "not_needed")
"""Outcomes after which the desk is done with an alert."""
_SEVERITIES = ("medium", "high", "critical")
_content_encoder = msgpack.Encoder()


def alert_id(customer_id: str, issue_id: str) -> str:
    """The identity of the alert about one issue of one customer: 32 hexadecimal digits."""
    return sha256(f"{RULE}|{len(customer_id)}|{customer_id}|{issue_id}".encode()).hexdigest()[:32]


def reassess(
    after: Customer,
    cause: str,
    policy: RiskPolicy = PRIORS,
    issues: Container[str] | None = None,
    since: int | None = None,
) -> tuple[ChurnAlert, ...]:
    """Bring ``after.alerts`` (of a customer that is being built) up to its facts; return the messages to the desk.

    ``issues`` names those that can have changed; without it all are assessed. ``since`` says that everything before
    that moment is as it was, and that nothing was known of it or later: the evaluation goes on from where it ended.
    """
    previous = {state.issue_id: state for state in after.alerts}
    messages: list[ChurnAlert] = []
    states: list[AlertState] = []
    for issue_id, issue in issues_of(after.contacts).items():
        before = previous.pop(issue_id, None)
        if issues is not None and issue_id not in issues:
            states.extend([before] if before is not None else ())
            continue
        outcomes = _final_outcomes(after, issue_id) if after.outcomes else []
        alert = evaluate(after, issue, outcomes, policy, before, since)
        if alert is None:
            messages.extend(_withdrawn(after, before, cause, issue, policy))
            continue
        identity = before.alert_id if before is not None else alert_id(after.customer_id, issue_id)
        is_backfill = _is_backfill(after, issue)
        evidence = issue_evidence(after, issue)
        content = _content(alert, issue, evidence, is_backfill)
        state = AlertState(issue_id, identity, alert.status, alert.severity, alert.raised_at, content, is_backfill)
        states.append(state)
        transition = _transition(before, state)
        if transition is not None:
            messages.append(_message(after, issue, evidence, state, alert.latest, transition, cause, policy))
    for dropped in previous.values():  # older than the contacts that are kept
        messages.extend(_withdrawn(after, dropped, cause, [], policy))
    after.alerts = states
    return tuple(messages)


def _final_outcomes(customer: Customer, issue_id: str) -> list[Outcome]:
    """The outcomes that close the alert of an issue."""
    identity = alert_id(customer.customer_id, issue_id)
    return [o for o in customer.outcomes if o.alert_id == identity and o.result in FINAL_RESULTS]


def _is_backfill(customer: Customer, issue: list[Contact]) -> bool:
    """Whether everything about an issue comes from imported history."""
    return all(contact.backfill for contact in issue) and all(a.backfill for a in answers_about(customer, issue))


def _content(alert: EvaluatedAlert, issue: list[Contact], evidence: list[str], is_backfill: bool) -> int:
    """64 bits that stand for everything the message says."""
    content: tuple[object, ...] = (
        alert.status,
        alert.severity,
        alert.raised_at,
        alert.latest.at,
        rounded(alert.latest.after),
        [rounded(value) if value else value for value in alert.latest.values],
        evidence,
        [(c.contact_id, c.channel, c.kind, c.origin, c.resolved, c.opened_at, c.synthetic) for c in issue],
    )
    if is_backfill:  # not among the others: alerts sent by earlier versions keep their number
        content = (*content, "backfill")
    return int.from_bytes(blake2b(_content_encoder.encode(content), digest_size=8).digest(), "little")


def rounded(value: float) -> float:
    """``round(value, 6)`` to the last bit, in a tenth of the time.

    A whole number over a million is the double nearest to its six decimals, which is what ``round`` looks for among
    texts. Only where the neighbours are about equally near does it matter how that is decided, or the sign of a zero.
    """
    if not value:
        return value
    millionths = value * 1e6
    if -1e15 < millionths < 1e15:
        nearest = float(floor(millionths + 0.5))
        if nearest and abs(millionths - nearest) < 0.4999:
            return nearest / 1e6
    return round(value, 6)


def _transition(before: AlertState | None, now: AlertState) -> Transition | None:
    if before is None or (before.backfill and not now.backfill):  # the desk does not know it
        return "raised" if now.status == "open" else now.status
    if before.status != now.status:
        return "reopened" if now.status == "open" else now.status
    if now.status == "open" and before.severity != now.severity:
        return "escalated" if _SEVERITIES.index(now.severity) > _SEVERITIES.index(before.severity) else "eased"
    return "updated" if before.content != now.content else None


def _withdrawn(
    customer: Customer, before: AlertState | None, cause: str, issue: list[Contact], policy: RiskPolicy
) -> Iterator[ChurnAlert]:
    """Take back the alert of an issue that, by all that is known now, never was at risk."""
    if before is not None:
        gone = AlertState(
            before.issue_id, before.alert_id, "withdrawn", before.severity, before.raised_at, 0, before.backfill
        )
        at = max((contact.last_at for contact in issue), default=before.raised_at)
        now, evidence = assess(risk_inputs(customer, issue), at, policy), issue_evidence(customer, issue)
        yield _message(customer, issue, evidence, gone, now, "withdrawn", cause, policy)


def _message(
    customer: Customer,
    issue: list[Contact],
    evidence: list[str],
    state: AlertState,
    now: RiskAssessment,
    transition: Transition,
    cause: str,
    policy: RiskPolicy,
) -> ChurnAlert:
    terms = contributions(now, policy)
    drawn = arm_of(state.alert_id, customer.customer_id, state.raised_at, policy.holdout, policy.experiments)
    return ChurnAlert(
        alert_id=state.alert_id,
        customer_id=customer.customer_id,
        issue_id=state.issue_id,
        rule=RULE,
        rule_version=policy.version,
        transition=transition,
        status=state.status,
        severity=state.severity,
        churn_risk_0_1=rounded(now.after),
        churn_risk_before_0_1=rounded(now.before),
        contributions=[Contribution(c.term, rounded(c.value), rounded(c.logit)) for c in terms],
        reasons=reasons(terms, transition),
        recommended_action=LEFT_ALONE if drawn.held_out else recommendation(terms, state.status),
        history=history(issue),
        contact_ids=[contact.contact_id for contact in issue],
        evidence=evidence,
        held_out=drawn.held_out,
        experiment=drawn.experiment,
        backfill=state.backfill,
        caused_by_event=cause,
        raised_at=instant(state.raised_at),
        occurred_at=instant(now.at),
        synthetic=any(contact.synthetic for contact in issue),
    )
