"""Logistic regression that is pulled towards what was believed before.

Minimises ``-log likelihood + 1/2 * sum of weight_j * (b_j - centre_j)^2``: a ridge centred at the priors (Hoerl &
Kennard 1970, Technometrics 12:55-67; le Cessie & van Houwelingen 1992, Applied Statistics 41:191-201). Little history
leaves the priors as they are, much history overrules them.

Standard errors are clustered by customer (Liang & Zeger 1986, Biometrika 73:13-22): contacts of one customer, and more
so of one issue, share their outcome and are no independent evidence. They say nothing about the pull to the priors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.fitting.scoring import Floats

FREE = float("inf")
"""No bound."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Where each column's coefficient is pulled to, how strongly, and its bounds; infinite for none."""

    centre: Floats
    weight: Floats
    low: Floats
    high: Floats


def risk(columns: Floats, coefficients: Floats) -> Floats:
    """The probability of each row."""
    logit = columns @ coefficients
    return np.asarray(np.exp(-np.logaddexp(0, -logit)))


def inseparable(columns: Floats) -> NDArray[np.bool_]:
    """Columns that are a combination of others: the data know their sum or difference, not each of them."""
    scaled = columns / np.maximum(np.sqrt((columns**2).sum(axis=0)), 1e-12)
    sizes, directions = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray((np.abs(directions[:, sizes < 1e-9]) > 1e-4).any(axis=1))


def fit(columns: Floats, silent: Floats, pull: Pull) -> Floats:
    """The coefficients that minimise the penalised loss within their bounds.

    Newton's method on the coefficients that no bound holds, projected back into the bounds, with halved steps until the
    loss falls (Bertsekas 1982, SIAM Journal on Control and Optimization 20:221-246). The loss is convex.
    """
    found = np.clip(pull.centre, pull.low, pull.high)
    loss = _loss(columns, silent, found, pull)
    for _ in range(MOST_STEPS):
        expected = risk(columns, found)
        slope = columns.T @ (expected - silent) + pull.weight * (found - pull.centre)
        held = ((found <= pull.low) & (slope > 0)) | ((found >= pull.high) & (slope < 0))
        step = np.where(held, 0.0, -np.linalg.pinv(_curve(columns, expected, pull, held)) @ np.where(held, 0.0, slope))
        better, improved = _downhill(columns, silent, pull, found, step, loss)
        if loss - improved <= ENOUGH * (1 + abs(loss)):
            return better
        found, loss = better, improved
    return found


MOST_STEPS = 100
ENOUGH = 1e-12
"""The search ends when a step lowers the loss by less than this part of it."""


def _curve(columns: Floats, expected: Floats, pull: Pull, held: NDArray[np.bool_]) -> Floats:
    """The second derivatives; what a bound holds is cut off from the rest."""
    curve = (columns.T * (expected * (1 - expected))) @ columns + np.diag(pull.weight)
    return np.asarray(np.where(held[:, None] | held[None, :], np.diag(held.astype(np.float64)), curve))


def _downhill(
    columns: Floats, silent: Floats, pull: Pull, found: Floats, step: Floats, loss: float
) -> tuple[Floats, float]:
    for halved in range(40):
        tried = np.clip(found + step / 2**halved, pull.low, pull.high)
        reached = _loss(columns, silent, tried, pull)
        if reached <= loss:
            return tried, reached
    return found, loss


def _loss(columns: Floats, silent: Floats, values: Floats, pull: Pull) -> float:
    logit = columns @ values
    return float(np.logaddexp(0, logit).sum() - silent @ logit + 0.5 * pull.weight @ (values - pull.centre) ** 2)


def errors(columns: Floats, silent: Floats, values: Floats, pull: Pull, customers: NDArray[np.int64]) -> Floats:
    """Standard errors clustered by ``customers`` (a number per row)."""
    expected = risk(columns, values)
    bread = np.linalg.pinv((columns.T * (expected * (1 - expected))) @ columns + np.diag(pull.weight))
    scores = np.zeros((int(customers.max()) + 1, columns.shape[1]))
    np.add.at(scores, customers, columns * (silent - expected)[:, None])
    return np.asarray(np.sqrt(np.maximum(np.diag(bread @ (scores.T @ scores) @ bread), 0.0)))
