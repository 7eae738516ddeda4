"""Maximum likelihood, from several starts, with standard errors.

Parameters are positive, so their logarithms are searched. The standard error of a parameter is that of its logarithm
times the parameter (delta method); that of the logarithm comes from the Hessian at the maximum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Generic, TypeVar

import numpy as np
from scipy.optimize import minimize

from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.errors import Refused
from pipeline.fitting import vectors
from pipeline.fitting.history import FEWEST_REPEAT_BUYERS, Floats, Summary

SMALLEST, LARGEST = 1e-4, 1e5
"""Where the search ends; a maximum there is none: the likelihood still rises towards 0 or infinity."""
MOST_UNCERTAIN = 2.0
"""A standard error of a logarithm above this: the parameter is known to a factor of 50 at best, so not known."""
STEP = 1e-4
NEWTON_STEPS = 4
Model = TypeVar("Model", PurchaseModel, SpendModel)
Step = Callable[[], object]
"""Called after every start."""

PURCHASE_STARTS: tuple[tuple[float, ...], ...] = (
    (0.25, 4.0, 0.8, 2.5), (1.0, 1.0, 1.0, 1.0), (0.5, 10.0, 0.1, 1.0), (2.0, 20.0, 0.5, 5.0), (0.1, 1.0, 2.0, 10.0),
)  # fmt: skip
"""r, alpha, a, b."""
SPEND_STARTS: tuple[tuple[float, ...], ...] = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5), (3.0, 10.0, 2.0), (0.5, 1.5, 5.0))
"""p, q, and gamma in units of the mean spend."""


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where the likelihood is highest."""

    parameters: tuple[float, ...]
    errors: tuple[float, ...] | None
    """Standard errors; ``None``: the data do not determine every parameter."""
    log_likelihood: float
    agreeing: int
    """Starts that ended here."""
    starts: int


@dataclass(frozen=True, slots=True)
class Fit(Generic[Model]):
    """A model, how sure its parameters are, and from how many customers they come."""

    model: Model
    maximum: Maximum
    customers: int


def fit_purchases(leaving: Leaving, seen: Summary, step: Step) -> Fit[PurchaseModel]:
    """The parameters under which the observed purchases are most likely."""

    def model(values: Sequence[float]) -> PurchaseModel:
        r, alpha, a, b = values
        return PurchaseModel(leaving=leaving, r=r, alpha=alpha, a=a, b=b)

    cases, counts = np.unique(np.stack([seen.x, seen.t_x, seen.T]), axis=1, return_counts=True)

    def likelihood(values: Sequence[float]) -> float:
        return float(counts @ vectors.log_likelihood(model(values), *cases))

    found = maximise(likelihood, PURCHASE_STARTS, step)
    return Fit(model(found.parameters), found, len(seen.x))


def fit_spend(seen: Summary, step: Step) -> Fit[SpendModel]:
    """The Gamma-Gamma parameters of customers with a repeat purchase of value.

    Raises
    ------
    Refused
        There are too few of them, all spend the same, or the expected spend of the population is infinite (q <= 1).
    """
    has = seen.paid > 0
    paid, mean = seen.paid[has], seen.mean[has]
    if len(paid) < FEWEST_REPEAT_BUYERS:
        raise Refused(
            f"too little to learn spend from: {len(paid)} customers with a repeat purchase above zero, "
            f"{FEWEST_REPEAT_BUYERS} are needed; leave spend out with --no-spend"
        )
    if np.ptp(mean) <= 1e-9 * mean.max():
        raise Refused("everybody spends the same on a purchase: there is nothing to model; leave spend out: --no-spend")
    scale = float(mean.mean())

    def likelihood(values: Sequence[float]) -> float:
        p, q, gamma = values
        return float(vectors.spend_log_likelihood(p, q, gamma, paid, mean / scale).sum())

    found = maximise(likelihood, SPEND_STARTS, step)
    p, q, gamma = found.parameters
    if q <= 1:
        raise Refused(
            f"spend varies too much among customers to have an expected value (parameter q = {q:.3f}, and it must be "
            "above 1); look for amounts that are wrong, or leave spend out with --no-spend"
        )
    errors = found.errors and (*found.errors[:2], found.errors[2] * scale)
    in_money = Maximum(
        (p, q, gamma * scale), errors, found.log_likelihood - len(paid) * log(scale), found.agreeing, found.starts
    )
    return Fit(SpendModel(p=p, q=q, gamma=gamma * scale), in_money, len(paid))


def maximise(likelihood: Callable[[Sequence[float]], float], starts: Sequence[Sequence[float]], step: Step) -> Maximum:
    """The highest point of a likelihood of positive parameters."""
    low, high = log(SMALLEST), log(LARGEST)

    def cost(point: Floats) -> float:
        return -likelihood([exp(value) for value in np.clip(point, low, high)])

    ends: list[tuple[float, Floats]] = []
    for start in starts:
        found = minimize(
            cost, np.log(start), method="L-BFGS-B", bounds=[(low, high)] * len(start),
            options={"maxiter": 500, "maxfun": 20_000, "ftol": 1e-13, "gtol": 1e-6},
        )  # fmt: skip
        ends.append((float(found.fun), np.asarray(found.x, dtype=np.float64)))
        step()
    best, point = min(ends, key=lambda end: end[0])
    point = _polished(cost, point, low, high)
    best = min(best, cost(point))
    agreeing = sum(end[0] - best < 0.01 for end in ends)
    values = tuple(float(value) for value in np.exp(point))
    return Maximum(values, _errors(cost, point, low, high), -best, agreeing, len(starts))


def _polished(cost: Callable[[Floats], float], point: Floats, low: float, high: float) -> Floats:
    """Newton's method from the end of the search, as long as it improves: the last digits of the parameters."""
    for _ in range(NEWTON_STEPS):
        hessian = _hessian(cost, point)
        if not _is_maximum(hessian):
            break
        step = np.linalg.solve(hessian, _gradient(cost, point))
        after = point - step
        if not np.all((low < after) & (after < high)) or cost(after) > cost(point) + 1e-9:
            break
        point = after
    return point


def _errors(cost: Callable[[Floats], float], point: Floats, low: float, high: float) -> tuple[float, ...] | None:
    margin = 0.1
    if np.any(point < low + margin) or np.any(point > high - margin):
        return None
    hessian = _hessian(cost, point)
    if not _is_maximum(hessian):
        return None
    of_logarithms = np.sqrt(np.diag(np.linalg.inv(hessian)))
    if np.any(of_logarithms > MOST_UNCERTAIN):
        return None
    return tuple(float(error) for error in of_logarithms * np.exp(point))


def _is_maximum(hessian: Floats) -> bool:
    return bool(np.all(np.isfinite(hessian)) and np.linalg.eigvalsh(hessian)[0] > 1e-3)


def _gradient(cost: Callable[[Floats], float], point: Floats) -> Floats:
    steps = np.eye(len(point)) * STEP
    return np.array([(cost(point + step) - cost(point - step)) / (2 * STEP) for step in steps])


def _hessian(cost: Callable[[Floats], float], point: Floats) -> Floats:
    wide = 20 * STEP
    steps = np.eye(len(point)) * wide
    rows = [
        [(cost(point + i + j) - cost(point + i - j) - cost(point - i + j) + cost(point - i - j)) for j in steps]
        for i in steps
    ]
    found: Floats = np.array(rows) / (4 * wide * wide)
    return (found + found.T) / 2
