"""Churn risk after a service contact: a transparent score whose terms add up.

``logit(risk) = intercept + sum of terms``; every term is a coefficient times a plain number, so the contributions can
be shown and sum to the score. The coefficients are priors: their signs and their order follow the literature (effort
raises risk, recovery lowers it by less than the failure raised it, prior purchases buffer), their sizes are assumed
until they are estimated from a firm's own history.

Known weakness: the score moves with events only; as time passes in silence it stays where it was.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, log1p
from typing import NamedTuple

from msgspec import Struct

from pipeline.core.customer import DAY_MS, Answer, Contact, Customer, occasion_after, repeat_occasions


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


PRIORS = RiskPolicy()
MONTH_MS = 30 * DAY_MS


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
    contributions: tuple[Contribution, ...]


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow at either end."""
    if logit >= 0:
        return 1 / (1 + exp(-logit))
    return exp(logit) / (1 + exp(logit))


def assess(customer: Customer, issue: list[Contact], at: int, policy: RiskPolicy = PRIORS) -> Assessment:
    """The risk because of ``issue`` (its contacts, oldest first), from what had happened by ``at`` (milliseconds)."""
    prior = repeat_occasions(customer, at // DAY_MS)
    baseline = [
        Contribution("intercept", 1.0, policy.intercept),
        Contribution("prior_purchases", prior, policy.prior_purchases * log1p(prior)),
    ]
    begun = [contact for contact in issue if contact.opened_at <= at]
    terms = [*_effort(begun, at, policy), *_voice(customer, begun, at, policy), *_story(customer, begun, at, policy)]
    before = sum(term.logit for term in baseline)
    contributions = (*baseline, *(term for term in terms if term.value))
    return Assessment(at, sigmoid(before), sigmoid(before + sum(t.logit for t in terms)), contributions)


def ease(answer: Answer) -> float:
    """Ease in 0..1 (1 is effortless) of a ``ces1`` (low is good) or ``ces2`` (high is good) answer."""
    share = (answer.score - answer.low) / (answer.high - answer.low)
    return 1 - share if answer.instrument == "ces1" else share


def _times(term: str, value: float, coefficient: float) -> Contribution:
    return Contribution(term, float(value), coefficient * value)


def _effort(begun: list[Contact], at: int, policy: RiskPolicy) -> list[Contribution]:
    """What the customer had to go through; known for every contact, with no survey."""
    if not begun:
        return []
    recent = sum(contact.opened_at > at - MONTH_MS for contact in begun)
    return [
        _times("contact", 1, policy.contact),
        _times("repeat_contact", min(4, max(0, recent - 1)), policy.repeat_contact),
        _times("transfer", min(4, sum(contact.transfers for contact in begun)), policy.transfer),
        _times("channel_switch", min(3, len({contact.channel for contact in begun}) - 1), policy.channel_switch),
        _times(
            "information_repeated", any(contact.information_repeated for contact in begun), policy.information_repeated
        ),
        _times("waiting", min(6.0, max(contact.waiting_seconds for contact in begun) / 600), policy.waiting),
        _times("self_service_failed", any(contact.self_service_first for contact in begun), policy.self_service_failed),
    ]


def _voice(customer: Customer, begun: list[Contact], at: int, policy: RiskPolicy) -> list[Contribution]:
    """What the customer said: the newest recommendation score, and the effort score about this issue."""
    ids = {contact.contact_id for contact in begun}
    said = [answer for answer in customer.answers if answer.at <= at]
    nps = [answer for answer in said if answer.instrument == "nps"]
    effort = [answer for answer in said if answer.instrument in ("ces1", "ces2") and answer.contact_id in ids]
    return [
        _times("detractor", bool(nps) and nps[-1].score <= 6, policy.detractor),
        _times("effort", 1 - ease(effort[-1]) if effort else 0, policy.effort),
    ]


def _story(customer: Customer, begun: list[Contact], at: int, policy: RiskPolicy) -> list[Contribution]:
    """How the issue stands, what came before it, and whether the customer came back."""
    if not begun:
        return []
    last = begun[-1]
    solved = last.resolved and last.last_at <= at
    reopened = any(c.resolved and c.last_at < later.opened_at for c, later in pairwise(begun))
    elsewhere = {
        c.issue_id: c.opened_at
        for c in customer.contacts
        if c.issue_id != last.issue_id and c.kind == "complaint" and c.opened_at <= at
    }
    returned = occasion_after(customer, last.last_at // DAY_MS)
    return [
        _times("unresolved", not solved, policy.unresolved),
        _times("recovered", solved, policy.recovered),
        _times("reopened", reopened, policy.reopened),
        _times("cancellation", any(contact.kind == "cancellation" for contact in begun), policy.cancellation),
        _times(
            "earlier_complaint",
            sum(exp((opened - at) / MONTH_MS) for opened in elsewhere.values()),
            policy.earlier_complaint,
        ),
        _times("bought_again", returned is not None and returned * DAY_MS <= at, policy.bought_again),
    ]
