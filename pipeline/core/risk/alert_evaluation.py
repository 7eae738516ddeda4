"""How an alert stands: an issue is walked through in event time, with hysteresis between raising and clearing."""

from typing import Final, final

from pipeline.core.risk.assessment import RiskPolicy, assess
from pipeline.core.risk.inputs import RiskAssessment
from pipeline.core.risk.issue_facts import answers_about, risk_inputs
from pipeline.core.state.customer import (
    DAY_MS,
    AlertState,
    Contact,
    Customer,
    Outcome,
    Severity,
    Status,
    occasion_after,
)

_UNKNOWN: Final = RiskAssessment(0, 0.0, 0.0, (), 0.0)


@final
class EvaluatedAlert:
    """The alert of an issue after the last moment that was assessed."""

    def __init__(self, raised_at: int, status: Status, severity: Severity, latest: RiskAssessment) -> None:
        self.raised_at = raised_at
        self.status: Status = status
        self.severity: Severity = severity
        self.latest = latest

    def update(self, now: RiskAssessment, policy: RiskPolicy) -> None:
        """Take one more assessment into account; one that was over opens again only at a higher risk than the last."""
        rise = now.after - now.before
        if self.status == "open":
            if now.after < policy.clear_at or rise < policy.least_rise / 2:
                self.status = "resolved"
            else:
                self.severity = _severity(now.after, policy)
        elif now.after >= policy.raise_at and rise >= policy.least_rise and now.after > self.latest.after:
            self.status, self.severity = "open", _severity(now.after, policy)
        self.latest = now


def evaluate(
    customer: Customer,
    issue: list[Contact],
    outcomes: list[Outcome],
    policy: RiskPolicy,
    previous: AlertState | None = None,
    since: int | None = None,
) -> EvaluatedAlert | None:
    """The alert of an issue, or ``None`` where it never was at risk; ``outcomes`` are those that close the alert.

    With ``since`` everything before that moment is as it was: an open ``previous`` alert is continued from there.
    """
    first = customer.first_purchase_at
    if first is None:
        return None
    alert: EvaluatedAlert | None = None
    if since is not None and previous is not None:
        if previous.status == "open":
            alert = EvaluatedAlert(previous.raised_at, previous.status, previous.severity, _UNKNOWN)
        else:
            since = None  # what it takes to reopen is not in the state
    inputs = risk_inputs(customer, issue)
    closed_at = {outcome.at for outcome in outcomes} if outcomes else set[int]()
    moments = _moments(customer, issue, outcomes)
    for at in sorted({*moments, customer.looked_at}):
        if first > at or (since is not None and at < since):
            continue
        if at not in moments and (alert is None or alert.status != "open"):
            continue  # time alone raises nothing
        now = assess(inputs, at, policy)
        if alert is not None:
            alert.update(now, policy)
        elif now.after >= policy.raise_at and now.after - now.before >= policy.least_rise:
            alert = EvaluatedAlert(at, "open", _severity(now.after, policy), now)
        if alert is not None and alert.status == "open" and at in closed_at:
            alert.status = "closed"
    return alert


def _moments(customer: Customer, issue: list[Contact], outcomes: list[Outcome]) -> set[int]:
    """The moments at which the risk of an issue can change."""
    moments, last = set[int](), 0
    for contact in issue:
        moments.add(contact.opened_at)
        moments.add(contact.last_at)
        last = max(last, contact.last_at)
    for answer in answers_about(customer, issue):
        moments.add(answer.at)
    for outcome in outcomes:
        moments.add(outcome.at)
    returned = occasion_after(customer, last // DAY_MS)
    if returned is not None:
        moments.add(returned * DAY_MS)
    return moments


def _severity(risk: float, policy: RiskPolicy) -> Severity:
    if risk >= policy.critical_at:
        return "critical"
    return "high" if risk >= policy.high_at else "medium"
