"""How good a risk is: does it rank, is it right on average, and whom does a desk reach with it.

Every function takes ``risk`` (0..1, higher is worse) and ``silent`` (0 or 1), one value per observation, and is exact
about ties: observations with the same risk share what falls to them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.core.measures.intervals import Z, wilson

Floats = NDArray[np.float64]
BINS = 10
"""Equally wide classes of risk in which prediction and outcome are compared."""
TOP = 0.1
"""The share of highest risks whose lift is reported."""
SURE = 1e-12
"""A risk is kept this far from 0 and 1 before its logarithm is taken."""


class Class(NamedTuple):
    """One class of risk: how many, their mean risk, and the share that fell silent with its 95 % interval."""

    contacts: int
    risk: float
    silent: float
    low: float
    high: float


class Scores(NamedTuple):
    """All figures of one way to tell the risk."""

    auc: float
    brier: float
    log_loss: float
    ece: float
    lift: float
    precision_at_capacity: float


def scores(risk: Floats, silent: Floats, days: NDArray[np.int64], per_day: int) -> Scores:
    """All figures at once; ``days`` holds the day of each observation, ``per_day`` how many the desk takes on a day."""
    return Scores(
        auc(risk, silent),
        brier(risk, silent),
        log_loss(risk, silent),
        ece(risk, silent),
        lift(risk, silent),
        precision_at_capacity(risk, silent, days, per_day),
    )


def auc(risk: Floats, silent: Floats | NDArray[np.bool_]) -> float:
    """Area under the ROC curve by the rank-sum; a tie counts half. NaN where only one outcome occurs."""
    positive = np.asarray(silent) == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(risk)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def brier(risk: Floats, silent: Floats) -> float:
    """Mean squared distance between risk and outcome."""
    return float(np.mean((risk - silent) ** 2))


def losses(risk: Floats, silent: Floats) -> Floats:
    """Minus the logarithm of the probability given to what happened, for each observation."""
    sure = np.clip(risk, SURE, 1 - SURE)
    return np.asarray(-np.where(silent == 1, np.log(sure), np.log1p(-sure)))


def log_loss(risk: Floats, silent: Floats) -> float:
    """The mean of :func:`losses`."""
    return float(np.mean(losses(risk, silent)))


class Lead(NamedTuple):
    """By how much one way to tell the risk is better than another, at least: the lower ends of 95 % intervals."""

    auc: float
    log_loss: float
    """How much lower its log loss is."""

    @property
    def is_sure(self) -> bool:
        """It both ranks and predicts better, by more than chance could make it."""
        return self.auc > 0 and self.log_loss > 0


def lead(risk: Floats, other: Floats, silent: Floats, customers: NDArray[np.int64]) -> Lead:
    """Compare two ways on the same observations; those of one customer are not taken as independent.

    The intervals are those of the sums over customers of what each observation adds to the difference: for the AUC its
    placement values (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44, 837-845; clustered: Obuchowski 1997,
    Biometrics 53, 567-578).
    """
    gained = losses(other, silent) - losses(risk, silent)
    placed = _placements(risk, silent) - _placements(other, silent)
    return Lead(
        auc(risk, silent) - auc(other, silent) - _margin(placed, customers),
        float(gained.mean()) - _margin((gained - gained.mean()) / len(gained), customers),
    )


def _placements(risk: Floats, silent: Floats) -> Floats:
    """What each observation adds to the AUC, less the mean; the sum of squares is the variance of the AUC."""
    found = np.empty(len(risk))
    for outcome in (0.0, 1.0):
        mine, others = risk[silent == outcome], np.sort(risk[silent != outcome])
        below = (np.searchsorted(others, mine, "left") + np.searchsorted(others, mine, "right")) / 2 / len(others)
        share = below if outcome else 1 - below
        found[silent == outcome] = (share - share.mean()) / len(mine)
    return found


def _margin(added: Floats, customers: NDArray[np.int64]) -> float:
    sums = np.bincount(np.unique(customers, return_inverse=True)[1], weights=added)
    return Z * float(np.sqrt((sums**2).sum()))


def reliability(risk: Floats, silent: Floats, bins: int = BINS) -> list[Class]:
    """Risk against outcome in equally wide classes without the empty ones; a risk on a border is in the class above."""
    place = np.minimum((risk * bins).astype(np.int64), bins - 1)
    found = []
    for number in np.unique(place):
        inside = place == number
        share = wilson(int(silent[inside].sum()), int(inside.sum()))
        found.append(Class(share.n, float(risk[inside].mean()), share.value, share.low, share.high))
    return found


def ece(risk: Floats, silent: Floats, bins: int = BINS) -> float:
    """Expected calibration error over :func:`reliability`'s classes."""
    classes = reliability(risk, silent, bins)
    return sum(one.contacts * abs(one.risk - one.silent) for one in classes) / len(risk)


def top(risk: Floats, silent: Floats, count: int) -> float:
    """How many of the ``count`` highest risks fell silent; those tied at the border share the places that are left."""
    if count >= len(risk):
        return float(silent.sum())
    border = np.partition(risk, len(risk) - count)[len(risk) - count]
    above, tied = risk > border, risk == border
    return float(silent[above].sum() + silent[tied].mean() * (count - above.sum()))


def lift(risk: Floats, silent: Floats, share: float = TOP) -> float:
    """Share that fell silent among the highest ``share`` of risks over the share among all; NaN when none did."""
    count = max(1, round(share * len(risk)))
    base = float(silent.mean())
    return top(risk, silent, count) / count / base if base else float("nan")


def precision_at_capacity(risk: Floats, silent: Floats, days: NDArray[np.int64], per_day: int) -> float:
    """Share that fell silent among the ``per_day`` highest risks of each day."""
    hits, calls = 0.0, 0
    order = np.argsort(days, kind="stable")
    for today in np.split(order, np.flatnonzero(np.diff(days[order])) + 1):
        count = min(per_day, len(today))
        hits, calls = hits + top(risk[today], silent[today], count), calls + count
    return hits / calls
