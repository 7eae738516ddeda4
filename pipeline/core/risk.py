"""Churn risk after a service contact: a transparent score whose terms add up.

``logit(risk) = intercept + sum of terms``; every term is a coefficient times a plain number, so the contributions can
be shown and sum to the score. The coefficients are priors: their signs and their order follow the literature (effort
raises risk, recovery lowers it by less than the failure raised it, prior purchases buffer), their sizes are assumed
until they are estimated from a firm's own history.

Known weakness: the score moves with events only; as time passes in silence it stays where it was.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log1p
from typing import NamedTuple

from msgspec import Struct

from pipeline.core.customer import DAY_MS, Answer, Contact, Customer, occasion_after, repeat_occasions

TERMS = (
    "prior_purchases",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPolicy:
    """Coefficients in logits per unit of their term, and the thresholds of the alert."""

    version: str = "priors-1"
    intercept: float = -2.3  # about 9 % without any contact
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
    prior_purchases: float = -0.25  # times log(1 + repeat purchase occasions)
    bought_again: float = -1.2  # a voluntary purchase after the last contact
    raise_at: float = 0.35
    clear_at: float = 0.25
    high_at: float = 0.5
    critical_at: float = 0.7
    coefficients: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """The coefficient of each of :data:`TERMS`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", tuple(float(getattr(self, term)) for term in TERMS))


MONTH_MS = 30 * DAY_MS
EFFORT = ("ces1", "ces2")
PRIORS = RiskPolicy()


class Contribution(Struct, frozen=True):
    """One term of a score: its name, the plain number it rests on, and its share of the logit."""

    term: str
    value: float
    logit: float


class Assessment(NamedTuple):
    """The churn risk of a customer because of one issue at one moment, in 0..1, before and after the contact."""

    at: int
    before: float
    after: float
    values: tuple[float, ...]
    """The plain number of each of :data:`TERMS`."""


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow at either end."""
    if logit >= 0:
        return 1 / (1 + exp(-logit))
    return exp(logit) / (1 + exp(logit))


def assess(customer: Customer, issue: list[Contact], at: int, policy: RiskPolicy = PRIORS) -> Assessment:
    """The risk because of ``issue`` (its contacts, oldest first), from what had happened by ``at`` (milliseconds)."""
    prior = repeat_occasions(customer, at // DAY_MS)
    begun = [contact for contact in issue if contact.opened_at <= at]
    values = (float(prior), *_NOTHING)
    if begun:
        values = (float(prior), *_effort(begun, at), *_voice(customer, begun, at), *_story(customer, begun, at))
    before = policy.intercept + policy.prior_purchases * log1p(prior)
    logit = before
    for value, coefficient in zip(values[1:], policy.coefficients[1:], strict=True):
        if value:
            logit += value * coefficient
    return Assessment(at, sigmoid(before), sigmoid(logit), values)


def contributions(now: Assessment, policy: RiskPolicy = PRIORS) -> list[Contribution]:
    """The terms of an assessment that have a value, after the intercept; their logits add up to the score."""
    shown = [
        Contribution(term, value, coefficient * (log1p(value) if term == "prior_purchases" else value))
        for term, value, coefficient in zip(TERMS, now.values, policy.coefficients, strict=True)
        if value or term == "prior_purchases"
    ]
    return [Contribution("intercept", 1.0, policy.intercept), *shown]


def ease(answer: Answer) -> float:
    """Ease in 0..1 (1 is effortless) of a ``ces1`` (low is good) or ``ces2`` (high is good) answer."""
    share = (answer.score - answer.low) / (answer.high - answer.low)
    return 1 - share if answer.instrument == "ces1" else share


_NOTHING = (0.0,) * (len(TERMS) - 1)


def _effort(begun: list[Contact], at: int) -> tuple[float, ...]:
    """What the customer had to go through; known for every contact, with no survey. ``contact`` to ``self_service``."""
    recent, transfers, waiting, repeated, tried = 0, 0, 0.0, False, False
    channels = set()
    for contact in begun:
        recent += contact.opened_at > at - MONTH_MS
        transfers += contact.transfers
        waiting = max(waiting, contact.waiting_seconds)
        repeated = repeated or contact.information_repeated
        tried = tried or contact.self_service_first
        channels.add(contact.channel)
    return (
        1.0,
        float(min(4, max(0, recent - 1))),
        float(min(4, transfers)),
        float(min(3, len(channels) - 1)),
        float(repeated),
        min(6.0, waiting / 600),
        float(tried),
    )


def _voice(customer: Customer, begun: list[Contact], at: int) -> tuple[float, float]:
    """What the customer said: the newest recommendation score, and the effort score about this issue."""
    detractor, effort = 0.0, 0.0
    heard_nps = heard_effort = False
    for answer in reversed(customer.answers):  # newest first
        if answer.at > at:
            continue
        if answer.instrument == "nps" and not heard_nps:
            heard_nps, detractor = True, float(answer.score <= 6)
        elif not heard_effort and answer.instrument in EFFORT and _is_about(answer, begun):
            heard_effort, effort = True, 1 - ease(answer)
    return detractor, effort


def _is_about(answer: Answer, begun: list[Contact]) -> bool:
    return any(contact.contact_id == answer.contact_id for contact in begun)


def _story(customer: Customer, begun: list[Contact], at: int) -> tuple[float, ...]:
    """How the issue stands, what came before it, and whether the customer came back. ``unresolved`` to the end."""
    last = begun[-1]
    solved = last.resolved and last.last_at <= at
    returned = occasion_after(customer, last.last_at // DAY_MS)
    reopened = any(c.resolved and c.last_at < later.opened_at for c, later in pairwise(begun))
    return (
        float(not solved),
        float(solved),
        float(reopened),
        float(any(contact.kind == "cancellation" for contact in begun)),
        _earlier_complaints(customer, last.issue_id, at) if len(customer.contacts) > len(begun) else 0.0,
        float(returned is not None and returned * DAY_MS <= at),
    )


def _earlier_complaints(customer: Customer, issue_id: str, at: int) -> float:
    elsewhere = {
        c.issue_id: c.opened_at
        for c in customer.contacts
        if c.issue_id != issue_id and c.kind == "complaint" and c.opened_at <= at
    }
    return sum((exp((opened - at) / MONTH_MS) for opened in elsewhere.values()), 0.0)
