"""Forecasts whether and how often one customer will buy again: the models BG/NBD and MBG/NBD.

Both models say: a living customer buys at a rate of their own (gamma: r, alpha), and after a purchase may leave for
good with a chance of their own (beta: a, b). BG/NBD (Fader, Hardie & Lee 2005, Marketing Science 24(2)) gives a
customer no chance to leave before the first repeat purchase; MBG/NBD (Batislam, Denizel & Filiztekin 2007,
International Journal of Research in Marketing 24(3)) does. With ``s``, the chances to leave that a customer has let
pass (x, or x + 1), the formulas of both are the same.

Rules
-----
- Time is an argument. Silence changes the answers with no event, so a :class:`PurchaseHistory` is made for the day of
  the question, and nothing is stored.
- Never rank customers by BG/NBD's P(alive): it is 1 for everybody who bought once. Rank by :func:`expected_purchases`
  or :func:`chance_to_buy`; :func:`shown_alive` shows P(alive) only where it means something.
- A customer bound by contract is no case for these models, and is refused.
- Weeks are 7 days; ``x``, ``t_x`` and ``T`` as the :data:`DEFINITIONS` say.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from math import exp, expm1, inf, isfinite, log, log1p

from pipeline.core.definition import Definition
from pipeline.core.forecast.mixture import log_rising, purchases_while_alive
from pipeline.core.state.customer import Customer, occasion_bits
from pipeline.errors import Refused

DAYS_PER_WEEK = 7
LOWEST, HIGHEST = 1e-6, 1e7
"""The range of a parameter for which the numerics are proven; beyond it, data do not determine the parameter."""
MOST_OCCASIONS = 1_000_000

_BGNBD = "Fader, Hardie & Lee 2005, Marketing Science 24(2)"
DEFINITIONS: tuple[Definition, ...] = (
    Definition("occasion", 1, "A UTC day with at least one purchase that was neither a refund nor under obligation."),
    Definition("t_x", 1, "Time from the first to the last occasion.", "weeks", _BGNBD),
    Definition("T", 1, "Time from the first occasion to the day of the question.", "weeks", _BGNBD),
    Definition("p_alive", 1, "Chance that the customer has not left for good; not for ranking.", "0..1", _BGNBD),
    Definition("p_buy", 1, "Chance of at least one further occasion within the horizon.", "0..1"),
    Definition("expected_purchases", 1, "Expected further occasions within the horizon.", "occasions", _BGNBD),
)


def valid_parameter(name: str, value: object, highest: float = HIGHEST) -> float:
    """A parameter that makes sense.

    Raises
    ------
    Refused
        It is no number, not finite, or outside :data:`LOWEST` to ``highest``; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"parameter {name} is no number; fit again: loyalty fit purchases")
    if not isfinite(value) or not LOWEST <= value <= highest:
        raise Refused(
            f"parameter {name} = {value} makes no sense: it must be between {LOWEST:g} and {highest:g}; "
            "fit again: loyalty fit purchases"
        )
    return float(value)


class Leaving(StrEnum):
    """When a customer may leave for good; the value is the model's name."""

    AFTER_REPEAT_PURCHASES = "bg_nbd"
    AFTER_ANY_PURCHASE = "mbg_nbd"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseModel:
    """The parameters of BG/NBD or MBG/NBD; times in weeks.

    Raises
    ------
    Refused
        A parameter makes no sense; the message names it.
    """

    leaving: Leaving
    r: float
    """Shape of the purchase rates among customers."""
    alpha: float
    """Their scale: r / alpha purchases a week on average."""
    a: float
    """With ``b``: the chance to leave after a purchase is a / (a + b) on average."""
    b: float

    def __post_init__(self) -> None:
        for name in ("r", "alpha", "a", "b"):
            object.__setattr__(self, name, valid_parameter(name, getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseHistory:
    """What the models know of a customer on the day of the question; times in weeks.

    Raises
    ------
    Refused
        Impossible: negative, not finite, the last purchase after the day of the question, or repeat purchases at no
        time after the first.
    """

    x: int
    """Repeat occasions."""
    t_x: float
    """From the first to the last occasion."""
    T: float
    """From the first occasion to the day of the question."""
    contractual: bool = False
    """Bound by contract: buying or not is no free choice."""

    def __post_init__(self) -> None:
        if not 0 <= self.x <= MOST_OCCASIONS:
            raise Refused(f"x = {self.x} repeat purchases: it must be between 0 and {MOST_OCCASIONS}")
        for field in fields(self)[1:3]:
            if not 0 <= getattr(self, field.name) < inf:
                raise Refused(f"{field.name} = {getattr(self, field.name)} weeks: it must be a number from 0 on")
        if self.t_x > self.T:
            raise Refused(f"the last purchase (t_x = {self.t_x}) lies after the day of the question (T = {self.T})")
        if (self.x == 0) != (self.t_x == 0):
            raise Refused(f"x = {self.x} repeat purchases and t_x = {self.t_x} weeks contradict each other")


def history_of(customer: Customer, day: int, *, contractual: bool) -> PurchaseHistory | None:
    """What was known of a customer at the end of a day (days since 1970); ``None``: no voluntary purchase by then."""
    seen = day - customer.occasions_from + 1
    bits = occasion_bits(customer) & ((1 << max(0, seen)) - 1)
    if not bits:
        return None
    first, last = (bits & -bits).bit_length() - 1, bits.bit_length() - 1
    return PurchaseHistory(
        x=bits.bit_count() - 1,
        t_x=(last - first) / DAYS_PER_WEEK,
        T=(seen - 1 - first) / DAYS_PER_WEEK,
        contractual=contractual,
    )


def log_likelihood(model: PurchaseModel, history: PurchaseHistory) -> float:
    """How well the model explains one customer: the logarithm of L in equation 6 of the 2005 paper."""
    x, s = history.x, _survived(model, history)
    rate = log_rising(model.r, x) - model.r * log1p(history.T / model.alpha) - x * log(model.alpha + history.T)
    stayed = log_rising(model.b, s) - log_rising(model.a + model.b, s)
    return rate + stayed + _log_one_plus_exp(_log_odds_gone(model, history))


def p_alive(model: PurchaseModel, history: PurchaseHistory) -> float:
    """Chance that the customer has not left for good. Never rank by it; to show it, ask :func:`shown_alive`."""
    return _sigmoid(-_log_odds_gone(model, history))


def shown_alive(model: PurchaseModel, history: PurchaseHistory) -> float | None:
    """P(alive) where it says something: from MBG/NBD, or after a repeat purchase; ``None`` otherwise."""
    alive = p_alive(model, history)
    return None if model.leaving is Leaving.AFTER_REPEAT_PURCHASES and history.x == 0 else alive


def expected_purchases(model: PurchaseModel, history: PurchaseHistory, weeks: float) -> float:
    """E[Y(t)]: expected occasions in the next ``weeks`` (equation 10 of the 2005 paper). Ranks customers."""
    alive, w = p_alive(model, history), _horizon(weeks) / (model.alpha + history.T)
    stay = model.b + _survived(model, history)
    return alive * purchases_while_alive(model.a, stay, model.r + history.x, w)


def chance_to_buy(model: PurchaseModel, history: PurchaseHistory, weeks: float) -> float:
    """P(buy in t): chance of at least one occasion in the next ``weeks``. Ranks customers."""
    w = _horizon(weeks) / (model.alpha + history.T)
    return p_alive(model, history) * -expm1(-(model.r + history.x) * log1p(w))


def expected_from_new(model: PurchaseModel, weeks: float) -> float:
    """E[X(t)]: expected repeat occasions of a customer in the ``weeks`` after their first purchase (equation 9)."""
    return expected_purchases(model, PurchaseHistory(x=0, t_x=0.0, T=0.0), weeks)


def _horizon(weeks: float) -> float:
    if not 0 <= weeks < inf:
        raise Refused(f"a horizon of {weeks} weeks makes no sense: it must be a number from 0 on")
    return weeks


def _survived(model: PurchaseModel, history: PurchaseHistory) -> int:
    """Chances to leave that a living customer has let pass."""
    return history.x + (model.leaving is Leaving.AFTER_ANY_PURCHASE)


def _log_odds_gone(model: PurchaseModel, history: PurchaseHistory) -> float:
    """ln(P(gone) / P(alive)); minus infinity where the model gives no chance to leave."""
    if history.contractual:
        raise Refused("customers bound by contract are no case for BG/NBD: look at the end of their contract instead")
    s = _survived(model, history)
    if s == 0:
        return -inf
    silence = log1p((history.T - history.t_x) / (model.alpha + history.t_x))
    return log(model.a) - log(model.b + (s - 1)) + (model.r + history.x) * silence


def _sigmoid(logit: float) -> float:
    return 1 / (1 + exp(-logit)) if logit >= 0 else exp(logit) / (1 + exp(logit))


def _log_one_plus_exp(value: float) -> float:
    return max(value, 0.0) + log1p(exp(-abs(value)))
