"""How far a figure from a sample can be trusted: 95 % intervals, and whether two of them differ.

Each formula names its source. Samples are taken as independent answers; whoever counts sees to it that a customer
counts once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Literal

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
"""1.95996…: how many standard errors the interval reaches to each side."""
_TINY = 1e-300
_CLOSE = 1e-14


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure from ``n`` answers with its 95 % interval, in the figure's own unit."""

    value: float
    low: float
    high: float
    n: int


Verdict = Literal["higher", "lower", "no significant change"]


@dataclass(frozen=True, slots=True)
class Change:
    """How much higher the second of two figures is, with the 95 % interval of that, and what may be said about it."""

    difference: float
    low: float
    high: float
    verdict: Verdict


def wilson(hits: float, n: int, z: float = Z) -> Estimate:
    """A share of ``n`` with its score interval (Wilson 1927, JASA 22, 209-212); ``z`` is the normal quantile.

    Raises
    ------
    ValueError
        Of nothing there is no share.
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError("a share needs at least one answer, and no more hits than answers")
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return Estimate(share, low, 1.0 if hits == n else min(1.0, middle + half), n)


def mean(counts: Mapping[float, int]) -> Estimate:
    """The mean of values in 0..1, given how often each occurred, with Student's interval, cut off at 0 and 1.

    Where all values are the same the sample says nothing of the spread; then Wilson's interval is taken, which is the
    wider one: no variable in 0..1 varies more than a yes or no with the same mean (Bhatia & Davis 2000, The American
    Mathematical Monthly 107, 353-357).

    Raises
    ------
    ValueError
        No values, or some outside 0..1.
    """
    present = {value: count for value, count in sorted(counts.items()) if count}  # in whatever order they came
    n = sum(present.values())
    if not n or min(present) < 0 or max(present) > 1:
        raise ValueError("a mean needs at least one value, and all within 0..1")
    middle = sum(value * count for value, count in present.items()) / n
    if len(present) == 1:
        return wilson(middle * n, n)
    variance = sum(count * (value - middle) ** 2 for value, count in present.items()) / (n - 1)
    half = student(n - 1) * sqrt(variance / n)
    return Estimate(middle, max(0.0, middle - half), min(1.0, middle + half), n)


def exact(hits: int, n: int) -> Estimate:
    """A share of ``n`` with the exact interval, never covering less than 95 % (Clopper & Pearson 1934, Biometrika 26).

    Raises
    ------
    ValueError
        Of nothing there is no share.
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError("a share needs at least one answer, and no more hits than answers")
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else beta_quantile(tail, hits, n - hits + 1)
    return Estimate(hits / n, low, 1.0 if hits == n else beta_quantile(1 - tail, hits + 1, n - hits), n)


def compare(before: Estimate, after: Estimate) -> Change:
    """Whether a figure changed between two periods, by their intervals (Zou & Donner 2008, Statistics in Medicine 27).

    For shares with Wilson's intervals this is Newcombe's method 10 (1998). Customers who answered in both periods are
    taken as different ones, which widens the interval, never narrows it, as long as people answer alike twice.
    """
    difference = after.value - before.value
    low = difference - _distance(after.value - after.low, before.high - before.value)
    high = difference + _distance(after.high - after.value, before.value - before.low)
    verdict: Verdict = "higher" if low > 0 else "lower" if high < 0 else "no significant change"
    return Change(difference, low, high, verdict)


def _distance(one: float, other: float) -> float:
    """An interval that leaves out its figure is not on its side; a distance to it is then none."""
    return sqrt(max(0.0, one) ** 2 + max(0.0, other) ** 2)


def reaching(value: float, low: float, high: float) -> tuple[float, float]:
    """An interval that an adjustment may have moved away from its figure, made wide enough to contain it."""
    return min(low, value), max(high, value)


def student(freedom: int) -> float:
    """The two-sided 95 % point of Student's t: t² / (f + t²) has the distribution Beta(1/2, f/2)."""
    share = beta_quantile(LEVEL, 0.5, freedom / 2)
    return sqrt(freedom * share / (1 - share))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The point below which a Beta(a, b) variable lies with ``probability``, by bisection."""
    low, high = 0.0, 1.0
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if beta_share(a, b, middle) < probability else (low, middle)
    return (low + high) / 2


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by the continued fraction DLMF 8.17.22 (Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror image converges fast
        return 1 - beta_share(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    value, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(1, 10_000):
        term = _beta_term(a, b, x, step)
        denominator = 1 / (1 + term * denominator or _TINY)
        numerator = 1 + term / numerator or _TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < _CLOSE:
            break
    return front / value


def _beta_term(a: float, b: float, x: float, step: int) -> float:
    m = step // 2
    if step % 2:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
