"""Does a model know more about the hold-out than the date of the last purchase does?

Ranking is judged by the AUC: the chance that a customer who bought in the hold-out is ranked above one who did not.
BG/NBD's P(alive) is listed to show that it must not be used for ranking: it is 1 for everybody who bought once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.fitting import vectors
from pipeline.fitting.history import WEEK, Floats, Split, Summary
from pipeline.fitting.scoring import auc

BASELINE = "recency"
RANKED_BY = f"{Leaving.AFTER_REPEAT_PURCHASES} expected purchases"
"""The ranking that must beat the baseline."""
MOST_REPEATS_SHOWN = 7
BINS = 10
Models = Mapping[Leaving, PurchaseModel]


class Ranking(NamedTuple):
    """A way to rank customers, and how often it puts a later buyer above a later non-buyer."""

    name: str
    auc: float


class Group(NamedTuple):
    """Customers with the same number of repeat occasions, and what they did in the hold-out, on average."""

    repeat: str
    customers: int
    actual: float
    expected: dict[str, float]


class Bin(NamedTuple):
    """Customers with about the same predicted chance to buy, and the share that bought."""

    customers: int
    predicted: float
    bought: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The model against the baseline; the interval is that of the difference of the two AUC (DeLong 1988), 95 %."""

    model: float
    baseline: float
    low: float
    high: float

    @property
    def beats(self) -> bool:
        """The model ranks better, and by more than chance could make it."""
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Tracking:
    """Repeat occasions of everybody, summed up week by week; ``weeks`` are weeks since the first purchase."""

    weeks: Floats
    actual: Floats
    expected: dict[str, Floats]
    until: float
    """Where the calibration period ends."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that the hold-out says."""

    rankings: list[Ranking]
    verdict: Verdict
    groups: list[Group]
    totals: dict[str, float]
    """Expected occasions in the hold-out, by model."""
    bins: dict[str, list[Bin]]
    calibration_error: dict[str, float]
    """Mean distance between predicted chance and share that bought, weighted by customers (ECE), by model."""
    brier: dict[str, float]
    tracking: Tracking
    correlation: float | None
    """Between how often and how much repeat buyers buy: Gamma-Gamma assumes 0. ``None``: spend was not looked at."""


def assess(models: Models, cut: Split) -> Assessment:
    """Compare models, baseline and what happened."""
    seen, bought = cut.seen, cut.later > 0
    expected = {str(m): vectors.expected_purchases(models[m], seen.x, seen.t_x, seen.T, cut.weeks) for m in models}
    chances = {str(m): vectors.chance_to_buy(models[m], seen.x, seen.t_x, seen.T, cut.weeks) for m in models}
    alive = {str(m): vectors.p_alive(models[m], seen.x, seen.t_x, seen.T) for m in models}
    scores = {BASELINE: seen.t_x - seen.T}
    for kind, values in (("expected purchases", expected), ("chance to buy", chances), ("p_alive", alive)):
        scores |= {f"{name} {kind}": value for name, value in values.items()}
    bins = {name: binned(chance, bought) for name, chance in chances.items()}
    return Assessment(
        rankings=[Ranking(name, auc(score, bought)) for name, score in scores.items()],
        verdict=compared(scores[RANKED_BY], scores[BASELINE], bought),
        groups=grouped(seen.x, cut.later, expected),
        totals={name: float(value.sum()) for name, value in expected.items()},
        bins=bins,
        calibration_error={
            name: sum(b.customers * abs(b.predicted - b.bought) for b in found) / len(bought)
            for name, found in bins.items()
        },
        brier={name: float(np.mean((chance - bought) ** 2)) for name, chance in chances.items()},
        tracking=tracked(models, cut),
        correlation=None if cut.log.currency is None else correlation(seen),
    )


def compared(model: Floats, baseline: Floats, positive: npt.NDArray[np.bool_]) -> Verdict:
    """Two rankings of the same customers, with DeLong's interval for the difference of their AUC."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    above_zeros, below_ones = [], []
    for score in (model, baseline):
        ranks = rankdata(score)
        above_zeros.append((ranks[positive] - rankdata(score[positive])) / zeros)
        below_ones.append(1 - (ranks[~positive] - rankdata(score[~positive])) / ones)
    of_ones, of_zeros = above_zeros[0] - above_zeros[1], below_ones[0] - below_ones[1]
    difference = float(of_ones.mean())
    margin = 1.96 * float(np.sqrt(of_ones.var(ddof=1) / ones + of_zeros.var(ddof=1) / zeros))
    return Verdict(auc(model, positive), auc(baseline, positive), difference - margin, difference + margin)


def grouped(x: Floats, later: Floats, expected: Mapping[str, Floats]) -> list[Group]:
    """Averages by repeat occasions in the calibration period: 0, 1, ... and "7+"."""
    found = []
    for repeats in range(MOST_REPEATS_SHOWN + 1):
        last = repeats == MOST_REPEATS_SHOWN
        these = x >= repeats if last else x == repeats
        if these.any():
            means = {name: float(value[these].mean()) for name, value in expected.items()}
            name = f"{repeats}+" if last else str(repeats)
            found.append(Group(name, int(these.sum()), float(later[these].mean()), means))
    return found


def binned(chance: Floats, bought: npt.NDArray[np.bool_]) -> list[Bin]:
    """Customers in tenths of the predicted chance; who has the same chance is in the same bin."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, BINS + 1)[1:-1]))
    places = np.searchsorted(edges, chance, side="left")
    return [
        Bin(int((places == p).sum()), float(chance[places == p].mean()), float(bought[places == p].mean()))
        for p in np.unique(places)
    ]


def tracked(models: Models, cut: Split) -> Tracking:
    """Repeat occasions of the customers in the calibration period, week by week, to the end of the hold-out."""
    log, seen = cut.log, cut.seen
    first = cut.until - np.rint(seen.T * WEEK).astype(np.int64)
    ends = np.append(np.arange(log.first_day + WEEK - 1, cut.end, WEEK), cut.end)
    known = np.isin(log.customer, seen.customer)
    starts = np.full(log.customers, cut.end + 1)
    starts[seen.customer] = first
    repeats = np.sort(log.day[known & (log.day > starts[log.customer])])
    ages = np.arange(0, cut.end - log.first_day + 1)
    cohorts = np.bincount(first - log.first_day, minlength=len(ages))
    expected = {}
    for leaving, model in models.items():
        per_customer = vectors.expected_from_new(model, ages / WEEK)
        expected[str(leaving)] = np.convolve(cohorts, per_customer)[ends - log.first_day]
    return Tracking(
        weeks=(ends - log.first_day + 1) / WEEK,
        actual=np.searchsorted(repeats, ends, side="right").astype(np.float64),
        expected=expected,
        until=(cut.until - log.first_day + 1) / WEEK,
    )


def correlation(seen: Summary) -> float | None:
    """Between number and mean value of repeat occasions with a value; ``None`` when one of them does not vary."""
    has = seen.paid > 0
    if has.sum() < 2 or np.ptp(seen.paid[has]) == 0 or np.ptp(seen.mean[has]) == 0:
        return None
    return float(np.corrcoef(seen.paid[has], seen.mean[has])[0, 1])


def spent_later(cut: Split) -> float:
    """What the customers of the calibration period paid in the hold-out."""
    log = cut.log
    theirs = np.isin(log.customer, cut.seen.customer) & (log.day > cut.until) & (log.day <= cut.end)
    return float(log.spent[theirs].sum())
