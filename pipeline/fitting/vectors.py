"""The formulas of ``core.purchasing`` and ``core.spending`` for a whole population; a test holds both to 1e-12."""

import numpy as np
from scipy.special import expit, gammaln

from pipeline.core.forecast.mixture import DROP, EDGE, HALVINGS, LEFT_PANELS, NODES, RIGHT_PANELS, gauss_legendre
from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.fitting.history import Floats


def log_rising(z: Floats, n: Floats) -> Floats:
    """``ln(Gamma(z+n) / Gamma(z))``."""
    far = np.maximum(z, 10.0)
    stirling = (far - 0.5) * np.log1p(n / far) + n * (np.log(far + n) - 1) + _stirling(far + n) - _stirling(far)
    found: Floats = np.where(z < 10, gammaln(z + n) - gammaln(z), stirling)
    return found


def _stirling(z: Floats) -> Floats:
    s = 1 / (z * z)
    inner: Floats = 1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * 691 / 360360))))
    return inner / z


def _survived(model: PurchaseModel, x: Floats) -> Floats:
    return x + float(model.leaving is Leaving.AFTER_ANY_PURCHASE)


def log_odds_gone(model: PurchaseModel, x: Floats, t_x: Floats, now: Floats) -> Floats:
    """ln(P(gone) / P(alive)); minus infinity where the model gives no chance to leave."""
    s = _survived(model, x)
    silence = np.log1p((now - t_x) / (model.alpha + t_x))
    odds = np.log(model.a) - np.log(model.b + np.maximum(s - 1, 0)) + (model.r + x) * silence
    return np.where(s == 0, -np.inf, odds)


def log_likelihood(model: PurchaseModel, x: Floats, t_x: Floats, now: Floats) -> Floats:
    """ln L of each customer."""
    s = _survived(model, x)
    r, b, both = (np.full_like(x, value) for value in (model.r, model.b, model.a + model.b))
    rate = log_rising(r, x) - model.r * np.log1p(now / model.alpha) - x * np.log(model.alpha + now)
    gone: Floats = np.logaddexp(0.0, log_odds_gone(model, x, t_x, now))
    return rate + (log_rising(b, s) - log_rising(both, s)) + gone


def p_alive(model: PurchaseModel, x: Floats, t_x: Floats, now: Floats) -> Floats:
    """P(alive) of each customer; never rank by it."""
    chance: Floats = expit(-log_odds_gone(model, x, t_x, now))
    return chance


def chance_to_buy(model: PurchaseModel, x: Floats, t_x: Floats, now: Floats, weeks: Floats | float) -> Floats:
    """P(buy in t) of each customer."""
    chance: Floats = -np.expm1(-(model.r + x) * np.log1p(weeks / (model.alpha + now)))
    return p_alive(model, x, t_x, now) * chance


def expected_purchases(model: PurchaseModel, x: Floats, t_x: Floats, now: Floats, weeks: Floats | float) -> Floats:
    """E[Y(t)] of each customer."""
    w = weeks / (model.alpha + now)
    alive = purchases_while_alive(model.a, model.b + _survived(model, x), model.r + x, w)
    return p_alive(model, x, t_x, now) * alive


def expected_from_new(model: PurchaseModel, weeks: Floats) -> Floats:
    """E[X(t)] of a new customer, for many t."""
    none = np.zeros_like(weeks)
    return expected_purchases(model, none, none, none, weeks)


def purchases_while_alive(a: float, beta: Floats, k: Floats, w: Floats) -> Floats:
    """The mean of ``(1 - (1+p*w)^-k) / p`` over p ~ Beta(a, beta), node by node as in ``core.mixture``."""
    own_a = np.full_like(beta, a)
    peak = np.log(own_a / beta)
    weights, values = np.zeros_like(beta), np.zeros_like(beta)

    def add(log_odds: Floats, weight: Floats) -> None:
        nonlocal weights, values
        p = 1 / (1 + np.exp(-log_odds))
        weights = weights + weight
        values = values + weight * -np.expm1(-k * np.log1p(p * w)) / p

    widest = np.maximum(1.0, np.maximum(k * w + w, beta))
    for own, other, sign, panels, edge in (
        (own_a, beta, -1.0, LEFT_PANELS, peak + np.log(widest) + EDGE),
        (beta, own_a, 1.0, RIGHT_PANELS, np.log(np.maximum(1.0, own_a)) + EDGE - peak),
    ):
        reach = _reach(own, other, edge)
        half = reach / panels / 2
        for panel in range(panels):
            for node, weight in gauss_legendre(NODES):
                d = half * (2 * panel + 1 + node)
                add(peak + sign * d, half * weight * np.exp(-_depth(own, other, d)))
        add(peak + sign * edge, np.where(reach == edge, np.exp(-_depth(own, other, edge)) / own, 0.0))
    return values / weights


def _depth(own: Floats, other: Floats, d: Floats) -> Floats:
    total = own + other
    return own * d + total * np.log1p(own / total * np.expm1(-d))


def _reach(own: Floats, other: Floats, edge: Floats) -> Floats:
    low, high = np.zeros_like(edge), edge.copy()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        deep = _depth(own, other, middle) > DROP
        low, high = np.where(deep, low, middle), np.where(deep, middle, high)
    return np.where(_depth(own, other, edge) <= DROP, edge, high)


def spend_log_likelihood(p: float, q: float, gamma: float, paid: Floats, mean: Floats) -> Floats:
    """Gamma-Gamma's ln L of each customer with purchases of value; a search may pass through q <= 1."""
    shape, total = p * paid, paid * mean
    larger, smaller = np.maximum(q, shape), np.minimum(q, shape)
    found: Floats = (
        log_rising(larger, smaller)
        - gammaln(smaller)
        - q * np.log1p(total / gamma)
        - shape * np.log1p(gamma / total)
        - np.log(mean)
    )
    return found


def expected_spend(model: SpendModel, paid: Floats, mean: Floats) -> Floats:
    """E[M] of each customer."""
    return model.p * (model.gamma + paid * mean) / (model.p * paid + model.q - 1)
