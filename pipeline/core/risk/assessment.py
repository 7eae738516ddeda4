"""Churn risk after a service contact: a transparent score whose terms add up.

::

    logit(before) = intercept + prior purchases + silence + contract
    logit(after)  = logit(before) + weight * (what happened about the issue)
    weight        = exp(-days since the last contact / fade)

Every term is a coefficient times a plain number, so the contributions can be shown and sum to the score. Effort raises
the risk; a recovery lowers it by less than the failure raised it; prior purchases lower it, and with it the jump that a
contact makes; what a contact did fades, and the risk comes back to what it would be without it. The coefficients are
priors: their signs and their order follow the literature (Knox & van Oest 2014, Maxham & Netemeyer 2002, de Matos et
al. 2007), their sizes are assumed until they are estimated from a firm's own history (``loyalty fit risk``).

Time is an argument: the same case can be assessed at any moment.
"""

from dataclasses import dataclass, field, fields
from math import exp, isfinite, log, log1p
from typing import Final

from pipeline.core.definition import Definition
from pipeline.core.risk.inputs import RiskAssessment, RiskInputs
from pipeline.core.risk.messages import Contribution
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, occasion_bits

BASELINE_TERMS = ("prior_purchases", "silence", "contract")
"""Terms of the risk before the contact."""
TERMS = (
    *BASELINE_TERMS,
    "contact",
    "repeat_contact",
    "transfer",
    "channel_switch",
    "information_repeated",
    "waiting",
    "self_service_failed",
    "detractor",
    "effort",
    "unresolved",
    "recovered",
    "reopened",
    "cancellation",
    "earlier_complaint",
    "bought_again",
)
"""Every term but the intercept, in the order in which they are shown and added."""
DEFINITIONS = (
    Definition(
        "churn_risk_0_1", 2, "The probability, 0 to 1, that the customer leaves because of an issue, after the contact."
    ),
    Definition("churn_risk_before_0_1", 2, "What the risk would be at the same moment without the issue."),
    Definition(
        "silence", 1, "Log of the days since the last voluntary purchase over the customer's own mean gap, from 0 to 3."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPolicy:
    """Coefficients in logits per unit of their term, what time does to them, and the thresholds of the alert.

    Raises
    ------
    ValueError
        A number is not finite, or thresholds are not in order.
    """

    version: str = "priors-2"
    intercept: float = -2.3  # about 9 % without any contact
    prior_purchases: float = -0.25  # times log(1 + repeat purchase occasions)
    silence: float = 0.3  # per e-fold of the silence over the own mean gap
    contract: float = -1.0  # while a contract holds the customer; it releases them at its notice date
    contact: float = 0.3  # a contact is never good news for loyalty
    unresolved: float = 0.8
    recovered: float = -0.2  # smaller in size than unresolved: recovery almost never fully offsets
    repeat_contact: float = 0.7  # per further contact on the issue within 30 days, at most 4
    transfer: float = 0.25  # per transfer, at most 4
    channel_switch: float = 0.3  # per further channel on the issue, at most 3
    reopened: float = 0.6
    information_repeated: float = 0.4
    waiting: float = 0.15  # per 10 minutes of the longest wait, at most an hour
    self_service_failed: float = 0.2
    cancellation: float = 1.6
    detractor: float = 0.8  # newest NPS answer is 0 to 6
    effort: float = 1.0  # times (1 - ease) of the newest effort answer about the issue
    earlier_complaint: float = 0.7  # times exp(-days since / 30), per other issue
    bought_again: float = -1.2  # a voluntary purchase after the last contact
    fade_days: float = 60.0  # what a contact did is down to a third after so many days
    gap_days: float = 60.0  # the mean gap of a customer of whom none is known; counts as one gap
    raise_at: float = 0.35
    clear_at: float = 0.25
    high_at: float = 0.5
    critical_at: float = 0.7
    least_rise: float = 0.05  # an alert needs that much risk more than there would be without the issue
    holdout: float = 0.0  # share of alerts on which nobody acts, to measure what acting does
    coefficients: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """The coefficient of each of :data:`TERMS`."""

    def __post_init__(self) -> None:
        numbers = [f.name for f in fields(self) if f.init and f.name != "version"]
        wrong = [name for name in numbers if not isfinite(getattr(self, name))]
        if wrong:
            raise ValueError(f"{wrong[0]} is not a finite number")
        if not (self.fade_days > 0 and self.gap_days > 0):
            raise ValueError("fade_days and gap_days must be above 0")
        if not 0 < self.clear_at < self.raise_at < self.high_at < self.critical_at < 1:
            raise ValueError("thresholds must rise: 0 < clear_at < raise_at < high_at < critical_at < 1")
        if not 0 <= self.holdout <= 1:
            raise ValueError("holdout must be a share, 0 to 1")
        object.__setattr__(self, "coefficients", tuple(float(getattr(self, term)) for term in TERMS))


MONTH_MS: Final = 30 * DAY_MS
NO_END: Final = 2**62
MOST_SILENCE: Final = 3.0
"""The silence term's largest value: twenty times the own mean gap."""
EFFORT = ("ces1", "ces2")
PRIORS = RiskPolicy()


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow at either end."""
    if logit >= 0:
        return 1 / (1 + exp(-logit))
    return exp(logit) / (1 + exp(logit))


def case_of(customer: Customer, issue: list[Contact]) -> RiskInputs:
    """The facts about ``issue`` (its contacts, oldest first)."""
    detractor: list[tuple[int, float]] = []
    effort: list[tuple[int, float, str]] = []
    if customer.answers:
        ids = {contact.contact_id for contact in issue}
        for answer in reversed(customer.answers):
            if answer.instrument == "nps":
                detractor.append((answer.at, float(answer.score <= 6)))
            elif answer.contact_id in ids and answer.instrument in EFFORT:
                effort.append((answer.at, 1 - ease(answer), answer.contact_id or ""))
    elsewhere: list[tuple[str, int]] = []
    if issue and len(customer.contacts) > len(issue):
        own = issue[0].issue_id
        elsewhere = [
            (c.issue_id, c.opened_at) for c in customer.contacts if c.issue_id != own and c.kind == "complaint"
        ]
    since, until = _contract(customer)
    occasions = occasion_bits(customer)
    return RiskInputs(issue, occasions, customer.occasions_from, detractor, effort, elsewhere, since, until)


def _contract(customer: Customer) -> tuple[int, int]:
    """From when to when the contract holds that was stated last; without a notice date to its end."""
    contract = customer.stated.bindings.get("contractual") if customer.stated is not None else None
    if contract is None:
        return 0, 0
    ends = contract.notice_by if contract.notice_by is not None else contract.ends_at
    return contract.at, NO_END if ends is None else ends


def assess(case: RiskInputs, at: int, policy: RiskPolicy = PRIORS) -> RiskAssessment:
    """The risk because of an issue, from what had happened by ``at`` (milliseconds)."""
    prior, silence, bound = _standing(case, at, policy)
    coefficients = policy.coefficients
    logit = policy.intercept + coefficients[0] * log1p(prior)
    if silence:
        logit += coefficients[1] * silence
    if bound:
        logit += coefficients[2]
    before = sigmoid(logit)
    begun = [contact for contact in case.contacts if contact.opened_at <= at]
    if not begun:
        return RiskAssessment(at, before, before, (float(prior), silence, bound, *_NOTHING), 0.0)
    values = [float(prior), silence, bound]
    values += _effort(begun, at)
    values += _voice(case, begun, at) if case.detractor or case.effort else _SILENT
    values += _story(case, begun, at)
    about = 0.0
    for term in range(len(BASELINE_TERMS), len(TERMS)):
        if values[term]:
            about += values[term] * coefficients[term]
    weight = exp((_last_seen(begun, at) - at) / (policy.fade_days * DAY_MS))
    return RiskAssessment(at, before, sigmoid(logit + weight * about), tuple(values), weight)


def _standing(case: RiskInputs, at: int, policy: RiskPolicy) -> tuple[int, float, float]:
    """Repeat purchase occasions, silence, and whether a contract holds the customer: what is so without the issue."""
    today = at // DAY_MS
    seen = case.occasions & ((1 << max(0, today - case.first_day + 1)) - 1)
    bound = 1.0 if case.bound_from <= at < case.bound_until else 0.0
    if not seen:
        return 0, 0.0, bound
    prior, span = seen.bit_count() - 1, seen.bit_length() - 1
    quiet = today - case.first_day - span
    mean_gap = (policy.gap_days + span) / (1 + prior)
    return prior, min(MOST_SILENCE, log(quiet / mean_gap)) if quiet > mean_gap else 0.0, bound


def _last_seen(begun: list[Contact], at: int) -> int:
    """When the customer and the firm last dealt with the issue."""
    last = 0
    for contact in begun:
        seen = contact.last_at
        last = max(last, seen if seen <= at else contact.opened_at)
    return last


def regressors(now: RiskAssessment) -> tuple[float, ...]:
    """What the coefficient of each of :data:`TERMS` is multiplied with."""
    prior, *standing = now.values[: len(BASELINE_TERMS)]
    return (log1p(prior), *standing, *(value * now.weight for value in now.values[len(BASELINE_TERMS) :]))


def contributions(now: RiskAssessment, policy: RiskPolicy = PRIORS) -> list[Contribution]:
    """The terms of an assessment that have a value, after the intercept; their logits add up to the score."""
    shown = [
        Contribution(term, value, coefficient * number)
        for term, value, coefficient, number in zip(
            TERMS, now.values, policy.coefficients, regressors(now), strict=True
        )
        if value or term == "prior_purchases"
    ]
    return [Contribution("intercept", 1.0, policy.intercept), *shown]


def ease(answer: Answer) -> float:
    """Ease in 0..1 (1 is effortless) of a ``ces1`` (low is good) or ``ces2`` (high is good) answer."""
    share = (answer.score - answer.low) / (answer.high - answer.low)
    return 1 - share if answer.instrument == "ces1" else share


_NOTHING: Final = (0.0,) * (len(TERMS) - len(BASELINE_TERMS))
_SILENT: Final = (0.0, 0.0)


def _effort(begun: list[Contact], at: int) -> tuple[float, ...]:
    """What the customer had to go through; known for every contact, with no survey. ``contact`` to ``self_service``."""
    repeats, transfers, waiting, repeated, tried = -1, 0, 0.0, False, False
    for contact in begun:
        if contact.opened_at > at - MONTH_MS:
            repeats += 1
        transfers += contact.transfers
        waiting = max(waiting, contact.waiting_seconds)
        if contact.information_repeated:
            repeated = True
        if contact.self_service_first:
            tried = True
    channels = len({contact.channel for contact in begun}) if len(begun) > 1 else 1
    return (
        1.0,
        float(min(4, repeats)) if repeats > 0 else 0.0,
        float(min(4, transfers)) if transfers else 0.0,
        float(min(3, channels - 1)),
        1.0 if repeated else 0.0,
        min(6.0, waiting / 600) if waiting else 0.0,
        1.0 if tried else 0.0,
    )


def _voice(case: RiskInputs, begun: list[Contact], at: int) -> tuple[float, float]:
    """What the customer said: the newest recommendation score, and the effort score about this issue."""
    detractor, effort = 0.0, 0.0
    for said_at, is_detractor in case.detractor:
        if said_at <= at:
            detractor = is_detractor
            break
    for said_at, hard, contact_id in case.effort:
        if said_at <= at and any(contact.contact_id == contact_id for contact in begun):
            effort = hard
            break
    return detractor, effort


def _story(case: RiskInputs, begun: list[Contact], at: int) -> tuple[float, ...]:
    """How the issue stands, what came before it, and whether the customer came back. ``unresolved`` to the end."""
    last = begun[-1]
    solved = last.resolved and last.last_at <= at
    reopened = cancels = False
    before: Contact | None = None
    for contact in begun:
        if contact.kind == "cancellation":
            cancels = True
        if before is not None and before.resolved and before.last_at < contact.opened_at:
            reopened = True
        before = contact
    return (
        0.0 if solved else 1.0,
        1.0 if solved else 0.0,
        1.0 if reopened else 0.0,
        1.0 if cancels else 0.0,
        _earlier_complaints(case.elsewhere, at) if case.elsewhere else 0.0,
        1.0 if _returned(case, last.last_at // DAY_MS, at // DAY_MS) else 0.0,
    )


def _returned(case: RiskInputs, after_day: int, until_day: int) -> bool:
    """Whether there was a purchase occasion after one day and up to another."""
    days = until_day - max(after_day, case.first_day - 1)
    return days > 0 and case.occasions >> max(0, after_day + 1 - case.first_day) & ((1 << days) - 1) != 0


def _earlier_complaints(elsewhere: list[tuple[str, int]], at: int) -> float:
    newest = {issue_id: opened for issue_id, opened in elsewhere if opened <= at}
    return sum((exp((opened - at) / MONTH_MS) for opened in newest.values()), 0.0)
