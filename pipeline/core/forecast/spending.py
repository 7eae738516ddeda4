"""The mean value of a purchase: the Gamma-Gamma model (Fader & Hardie 2013, "The Gamma-Gamma Model of Monetary Value").

A customer's baskets vary around a mean of their own; means vary among customers. The observed mean of few purchases is
therefore pulled towards the population's. Amounts are in the currency they were fitted in. Purchases of zero value do
not count. The model assumes that how often people buy says nothing about how much; a fit publishes the correlation.
"""

from dataclasses import dataclass
from math import inf, lgamma, log, log1p

from pipeline.core.definition import Definition
from pipeline.core.forecast.mixture import log_rising
from pipeline.core.forecast.purchasing import (
    HIGHEST,
    PurchaseHistory,
    PurchaseModel,
    expected_purchases,
    valid_parameter,
)
from pipeline.errors import Refused

MOST_MONEY = 1e15
"""The highest scale of spend: amounts are below 1e11, in currencies whose smallest note may be thousands."""

_SOURCE = "Fader & Hardie 2013, The Gamma-Gamma Model of Monetary Value"
DEFINITIONS: tuple[Definition, ...] = (
    Definition("expected_spend", 1, "Expected value of a customer's average purchase.", "money", _SOURCE),
    Definition("expected_value", 1, "Expected_purchases times expected_spend, over the same horizon.", "money"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendModel:
    """The parameters of Gamma-Gamma.

    Raises
    ------
    Refused
        A parameter makes no sense; without q > 1 the mean of the population does not exist.
    """

    p: float
    """Shape of a customer's baskets: how much they vary around the customer's mean."""
    q: float
    """Shape of the means among customers."""
    gamma: float
    """Scale of the means, in the currency of the fit."""

    def __post_init__(self) -> None:
        for name, highest in (("p", HIGHEST), ("q", HIGHEST), ("gamma", MOST_MONEY)):
            object.__setattr__(self, name, valid_parameter(name, getattr(self, name), highest))
        if self.q <= 1:
            raise Refused(
                f"parameter q = {self.q} makes no sense: without q > 1 expected spend does not exist; fit with more "
                "repeat buyers, or without spend: loyalty fit purchases --no-spend"
            )


def log_likelihood(model: SpendModel, x: int, mean: float) -> float:
    """How well the model explains ``x`` purchases with a mean value of ``mean`` (equation 1a of the 2013 note)."""
    _refuse_impossible(x, mean)
    if x == 0 or mean == 0:
        raise Refused("spend is learned from purchases with a value: x and their mean must be above 0")
    shape, paid = model.p * x, x * mean
    return (
        log_rising(max(model.q, shape), min(model.q, shape))
        - lgamma(min(model.q, shape))
        - model.q * log1p(paid / model.gamma)
        - shape * log1p(model.gamma / paid)
        - log(mean)
    )


def expected_spend(model: SpendModel, x: int, mean: float) -> float:
    """E[M]: the customer's expected purchase value after ``x`` purchases with a value, of ``mean`` on average."""
    _refuse_impossible(x, mean)
    return model.p * (model.gamma + x * mean) / (model.p * x + model.q - 1)


def expected_value(
    model: PurchaseModel, spend: SpendModel, history: PurchaseHistory, x: int, mean: float, weeks: float
) -> float:
    """What a customer is expected to spend in the next ``weeks``; no discounting, no margin."""
    return expected_purchases(model, history, weeks) * expected_spend(spend, x, mean)


def _refuse_impossible(x: int, mean: float) -> None:
    if x < 0:
        raise Refused(f"x = {x} purchases: it must be 0 or more")
    if not 0 <= mean < inf:
        raise Refused(f"a mean purchase of {mean} makes no sense: it must be a number from 0 on")
