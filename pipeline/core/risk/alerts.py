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
from typing import Final

from msgspec import msgpack

from pipeline.core.contract.moments import instant
from pipeline.core.risk.alert_text import LEFT_ALONE, history, reasons, recommendation
from pipeline.core.risk.assessment import PRIORS, RiskPolicy, assess, case_of, contributions
from pipeline.core.risk.holdout import held_out
from pipeline.core.risk.inputs import RiskAssessment
from pipeline.core.risk.messages import ChurnAlert, Contribution, Transition
from pipeline.core.state.customer import (
    DAY_MS,
    AlertState,
    Answer,
    Contact,
    Customer,
    Outcome,
    Severity,
    Status,
    occasion_after,
)

RULE = "risk_after_contact"

PATIENCE_MS: Final = 30 * DAY_MS
"""How long after its last contact an answer that names no contact counts as said about an issue."""
FINAL_RESULTS = ("retained", "lost", "not_needed")
"""Outcomes after which the desk is done with an alert."""
_ORDER = ("medium", "high", "critical")
_content_encoder = msgpack.Encoder()
_UNKNOWN: Final = RiskAssessment(0, 0.0, 0.0, (), 0.0)


class _Walk:
    """How an issue stands after its last moment."""

    def __init__(self, raised_at: int, status: Status, severity: Severity, latest: RiskAssessment) -> None:
        self.raised_at = raised_at
        self.status: Status = status
        self.severity: Severity = severity
        self.latest = latest


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
    """Bring ``after.alerts`` (of a customer that is being built) up to its facts; return what is news to the desk.

    ``issues`` names those that can have changed; without it all are looked at. ``since`` says that everything before
    that moment is as it was, and that nothing was known of it or later: the walk goes on from where it ended.
    """
    told = {state.issue_id: state for state in after.alerts}
    news: list[ChurnAlert] = []
    states: list[AlertState] = []
    for issue_id, issue in issues_of(after.contacts).items():
        before = told.pop(issue_id, None)
        if issues is not None and issue_id not in issues:
            states.extend([before] if before is not None else ())
            continue
        outcomes = _closing(after, issue_id) if after.outcomes else []
        walk = _walk(after, issue, outcomes, policy, _so_far(before) if since is not None else None, since)
        if walk is None:
            news.extend(_withdrawn(after, before, cause, issue, policy))
            continue
        identity = before.alert_id if before is not None else alert_id(after.customer_id, issue_id)
        quiet = _is_backfill(after, issue)
        evidence = evidence_of(after, issue)
        content = _content(walk, issue, evidence, quiet)
        state = AlertState(issue_id, identity, walk.status, walk.severity, walk.raised_at, content, quiet)
        states.append(state)
        transition = _transition(before, state)
        if transition is not None:
            news.append(_message(after, issue, evidence, state, walk.latest, transition, cause, policy))
    for forgotten in told.values():  # older than the contacts that are kept
        news.extend(_withdrawn(after, forgotten, cause, [], policy))
    after.alerts = states
    return tuple(news)


def issues_of(contacts: list[Contact]) -> dict[str, list[Contact]]:
    """Contacts by the issue they are about."""
    issues: dict[str, list[Contact]] = {}
    for contact in contacts:
        issues.setdefault(contact.issue_id, []).append(contact)
    return issues


def _walk(
    customer: Customer,
    issue: list[Contact],
    outcomes: list[Outcome],
    policy: RiskPolicy,
    so_far: _Walk | None,
    since: int | None,
) -> _Walk | None:
    """Go through an issue in event time, with hysteresis between raising and clearing."""
    first = customer.first_purchase_at
    if first is None:
        return None
    if so_far is not None and so_far.status != "open":
        so_far = since = None  # what it takes to reopen is not in the state
    walk, case = so_far, case_of(customer, issue)
    moments = _moments(customer, issue, outcomes)
    for at in sorted({*moments, customer.looked_at}):
        if first > at or (since is not None and at < since):
            continue
        if at not in moments and (walk is None or walk.status != "open"):
            continue  # time alone raises nothing
        walk = _next(walk, assess(case, at, policy), policy)
        if walk is not None and walk.status == "open" and any(outcome.at == at for outcome in outcomes):
            walk = _Walk(walk.raised_at, "closed", walk.severity, walk.latest)
    return walk


def _so_far(told: AlertState | None) -> _Walk | None:
    """Where the walk of an open alert ended."""
    return None if told is None else _Walk(told.raised_at, told.status, told.severity, _UNKNOWN)


def _closing(customer: Customer, issue_id: str) -> list[Outcome]:
    identity = alert_id(customer.customer_id, issue_id)
    return [o for o in customer.outcomes if o.alert_id == identity and o.result in FINAL_RESULTS]


def _moments(customer: Customer, issue: list[Contact], outcomes: list[Outcome]) -> set[int]:
    """The moments at which the risk of an issue can change."""
    moments, last = set[int](), 0
    for contact in issue:
        moments.add(contact.opened_at)
        moments.add(contact.last_at)
        last = max(last, contact.last_at)
    for answer in _answers_about(customer, issue):
        moments.add(answer.at)
    for outcome in outcomes:
        moments.add(outcome.at)
    returned = occasion_after(customer, last // DAY_MS)
    if returned is not None:
        moments.add(returned * DAY_MS)
    return moments


def _answers_about(customer: Customer, issue: list[Contact]) -> list[Answer]:
    if not customer.answers:
        return []
    ids = {contact.contact_id for contact in issue}
    first, last = issue[0].opened_at, max([contact.last_at for contact in issue])
    return [
        answer
        for answer in customer.answers
        if answer.contact_id in ids or (answer.contact_id is None and first <= answer.at <= last + PATIENCE_MS)
    ]


def _is_backfill(customer: Customer, issue: list[Contact]) -> bool:
    """Whether all that was said about an issue comes from imported history."""
    return all(contact.backfill for contact in issue) and all(a.backfill for a in _answers_about(customer, issue))


def _next(walk: _Walk | None, now: RiskAssessment, policy: RiskPolicy) -> _Walk | None:
    severity = _severity(now.after, policy)
    rise = now.after - now.before
    raises = now.after >= policy.raise_at and rise >= policy.least_rise
    if walk is None:
        return _Walk(now.at, "open", severity, now) if raises else None
    if walk.status == "open":
        if now.after < policy.clear_at or rise < policy.least_rise / 2:
            return _Walk(walk.raised_at, "resolved", walk.severity, now)
        return _Walk(walk.raised_at, walk.status, severity, now)
    if raises and now.after > walk.latest.after:
        return _Walk(walk.raised_at, "open", severity, now)
    return _Walk(walk.raised_at, walk.status, walk.severity, now)


def _severity(risk: float, policy: RiskPolicy) -> Severity:
    if risk >= policy.critical_at:
        return "critical"
    return "high" if risk >= policy.high_at else "medium"


def _content(walk: _Walk, issue: list[Contact], rests_on: list[str], quiet: bool) -> int:
    said: tuple[object, ...] = (
        walk.status,
        walk.severity,
        walk.raised_at,
        walk.latest.at,
        rounded(walk.latest.after),
        [rounded(value) for value in walk.latest.values],
        rests_on,
        [(c.contact_id, c.channel, c.kind, c.origin, c.resolved, c.opened_at, c.synthetic) for c in issue],
    )
    if quiet:  # not among the others: what was told by earlier versions keeps its number
        said = (*said, "backfill")
    return int.from_bytes(blake2b(_content_encoder.encode(said), digest_size=8).digest(), "little")


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
    if before is None or (before.backfill and not now.backfill):  # the desk has not heard of it
        return "raised" if now.status == "open" else now.status
    if before.status != now.status:
        return "reopened" if now.status == "open" else now.status
    if now.status == "open" and before.severity != now.severity:
        return "escalated" if _ORDER.index(now.severity) > _ORDER.index(before.severity) else "eased"
    return "updated" if before.content != now.content else None


def _withdrawn(
    customer: Customer, told: AlertState | None, cause: str, issue: list[Contact], policy: RiskPolicy
) -> Iterator[ChurnAlert]:
    """Take back what was told about an issue that, by all that is known now, never was at risk."""
    if told is not None:
        gone = AlertState(told.issue_id, told.alert_id, "withdrawn", told.severity, told.raised_at, 0, told.backfill)
        at = max((contact.last_at for contact in issue), default=told.raised_at)
        now, evidence = assess(case_of(customer, issue), at, policy), evidence_of(customer, issue)
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
    untouched = held_out(state.alert_id, policy.holdout)
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
        recommended_action=LEFT_ALONE if untouched else recommendation(terms, state.status),
        history=history(issue),
        contact_ids=[contact.contact_id for contact in issue],
        evidence=evidence,
        held_out=untouched,
        backfill=state.backfill,
        caused_by_event=cause,
        raised_at=instant(state.raised_at),
        occurred_at=instant(now.at),
        synthetic=any(contact.synthetic for contact in issue),
    )


def evidence_of(customer: Customer, issue: list[Contact]) -> list[str]:
    """The events an issue's risk rests on: the newest of each contact about it, and the answers about those."""
    ids = {contact.contact_id for contact in issue}
    said = [answer.event_id for answer in customer.answers if answer.contact_id in ids]
    return [*(contact.last_event for contact in issue), *said]
