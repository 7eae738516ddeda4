"""Satisfaction (which looks back, while loyalty looks forward), and reasons why a satisfied customer may leave."""

from collections.abc import Iterator

from msgspec import Struct

from pipeline.core.definition import Definition
from pipeline.core.loyalty.attachment import said_by
from pipeline.core.loyalty.lifecycle import Lifecycle
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.state.customer import DAY_MS, Answer, Customer


class Satisfaction(Struct, frozen=True):
    """What the customer said about the past, and about the future, as shares of their scales; ``None``: nothing."""

    satisfaction: float | None
    repurchase_intent: float | None
    satisfied_but_at_risk: list[str]
    """Why a satisfied customer is at risk; empty: not satisfied, or no risk known."""


def satisfaction(customer: Customer, now: int, life: Lifecycle, captive: bool, norms: Norms = PRIORS) -> Satisfaction:
    """What a customer said, and whether they are satisfied and at risk."""
    past, intent = said_by(customer, "csat", now), said_by(customer, "repurchase_intent", now)
    satisfied = past is not None and is_satisfied(past, now, norms)
    risks = list(_risks(customer, now, life, captive, norms)) if satisfied else []
    return Satisfaction(_share_of(past), _share_of(intent), risks)


def is_satisfied(answer: Answer, now: int, norms: Norms = PRIORS) -> bool:
    """Whether an answer about satisfaction says yes, and is young enough to say something about now."""
    return share(answer) >= norms.satisfied_from and now - answer.at <= norms.satisfaction_days * DAY_MS


def _share_of(answer: Answer | None) -> float | None:
    return None if answer is None else share(answer)


def share(answer: Answer) -> float:
    """Where on its scale an answer lies, 0 to 1."""
    return (answer.score - answer.low) / (answer.high - answer.low)


def _risks(customer: Customer, now: int, life: Lifecycle, captive: bool, norms: Norms) -> Iterator[str]:
    nps, intent = said_by(customer, "nps", now), said_by(customer, "repurchase_intent", now)
    if life in ("at rest", "lapsed"):
        yield life
    if nps is not None and nps.score <= 6:
        yield "would not recommend us"
    if intent is not None and share(intent) < norms.would_return_from:
        yield "would not buy again"
    if captive:
        yield "captive"
    if any(alert.status == "open" for alert in customer.alerts):
        yield "open alert"


DEFINITIONS = (
    Definition(
        "satisfaction",
        1,
        "The newest answer about satisfaction, as a share of its scale. It is about the past and is never added to "
        "loyalty; 180 days later it says nothing about now.",
        "0 to 1",
    ),
    Definition(
        "repurchase_intent", 1, "The newest answer to 'would you buy again', as a share of its scale.", "0 to 1"
    ),
    Definition(
        "satisfied_but_at_risk",
        1,
        "Why a customer who was satisfied within the last 180 days (3/4 of the scale or more) is at risk: at rest or "
        "lapsed, would not recommend us, would not buy again, captive, or an open alert.",
        "",
        "Reichheld 1996, Harvard Business Review 74(2): most who defect were satisfied",
    ),
    Definition(
        "would not recommend us",
        1,
        "Answered 0 to 6 of 10: a detractor.",
        "",
        "Reichheld 2003, Harvard Business Review 81(12)",
    ),
    Definition("would not buy again", 1, "Answered below the middle of the scale."),
    Definition("open alert", 1, "The desk has been told about an issue that is not over."),
)
