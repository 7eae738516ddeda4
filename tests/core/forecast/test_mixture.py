"""The mean over dropout chances is the printed 2F1 to 1e-9, wherever a customer or a parameter can lie."""

import random
from collections.abc import Sequence
from itertools import product

import mpmath
import pytest
from _pytest.mark import ParameterSet

from pipeline.core.forecast.mixture import gauss_legendre, log_rising, purchases_while_alive

TOLERANCE = 1e-9


def printed(a: float, beta: float, k: float, w: float) -> mpmath.mpf:
    """Equation 10 of Fader, Hardie & Lee 2005 without P(alive), in 120 digits; Euler's form where it converges."""
    with mpmath.workdps(120):
        a_, beta_, k_, w_ = map(mpmath.mpf, (a, beta, k, w))
        z = w_ / (1 + w_)
        if a < 100:
            inner = (1 - z) ** (a_ - 1) * mpmath.hyp2f1(a_ - 1, a_ + beta_ - 1 - k_, a_ + beta_ - 1, z)
        else:
            inner = (1 - z) ** k_ * mpmath.hyp2f1(k_, beta_, a_ + beta_ - 1, z)
        return (a_ + beta_ - 1) / (a_ - 1) * (1 - inner)


def averaged(a: float, beta: float, k: float, w: float) -> mpmath.mpf:
    """The same as an integral in 30 digits, for where 2F1 takes mpmath minutes: panels around every scale there is."""
    with mpmath.workdps(30):
        a_, beta_, k_, w_ = map(mpmath.mpf, (a, beta, k, w))
        peak, narrow = mpmath.log(a_ / beta_), min(mpmath.sqrt(1 / a_ + 1 / beta_), mpmath.mpf(1))
        scales = (peak, -mpmath.log(w_), -mpmath.log(k_ * w_), mpmath.mpf(0))
        low, high = min(scales) - 200 / a_ - 20, max(scales) + 200 / beta_ + 20
        near = {c + m * s for c in scales for m in (-12, -6, -3, -1.5, 0, 1.5, 3, 6, 12) for s in (narrow, 1)}
        far = {c + side * 10**e for c in scales for e in range(10) for side in (-3, -1, 1, 3)}
        points = sorted(point for point in near | far | {low, high} if low <= point <= high)

        def density(u: mpmath.mpf) -> mpmath.mpf:
            fallen = mpmath.log1p(mpmath.exp(u)) - mpmath.log1p(mpmath.exp(peak))
            return mpmath.exp(a_ * (u - peak) - (a_ + beta_) * fallen)

        def integrand(u: mpmath.mpf) -> mpmath.mpf:
            p = 1 / (1 + mpmath.exp(-u))
            return density(u) * -mpmath.expm1(-k_ * mpmath.log1p(p * w_)) / p

        return mpmath.quad(integrand, points) / mpmath.quad(density, points)


GRID = [
    *product((0.01, 0.793, 1 + 1e-9, 4.0), (0.02, 2.426, 30.0), (0.243, 12.0, 300.0), (1e-6, 0.5, 1e3)),
    *product((0.5, 2.5, 150.0), (10_002.4,), (10_000.243,), (1e-3, 0.04, 0.9)),  # x = 10,000
]


def some(points: Sequence[tuple[float, ...]], every: int) -> list[ParameterSet]:
    """All points, of which a quick run takes a few: these references take long."""
    return [
        pytest.param(*point, marks=() if number % every == every // 2 else pytest.mark.extended)
        for number, point in enumerate(points)
    ]


@pytest.mark.parametrize(("a", "beta", "k", "w"), some(GRID, 7))
def test_it_is_the_printed_formula(a: float, beta: float, k: float, w: float) -> None:
    assert purchases_while_alive(a, beta, k, w) == pytest.approx(float(printed(a, beta, k, w)), rel=TOLERANCE)


EXTREME = [
    (1e-6, 1e-6, 1e-6, 1e-7), (1e-6, 1e7, 1e7, 1e7), (1e7, 1e-6, 1e7, 1.0), (1e7, 1e7, 1e7, 1e-7),
    (1e7, 1e7, 1e-6, 1e7), (1e-3, 1e-6, 1e7, 0.3), (3e-6, 1.4e3, 6e6, 13.0), (5e3, 5e3, 1e4, 50.0),
]  # fmt: skip


@pytest.mark.parametrize(("a", "beta", "k", "w"), some(EXTREME, 8))
def test_it_holds_at_the_corners_of_its_range(a: float, beta: float, k: float, w: float) -> None:
    assert purchases_while_alive(a, beta, k, w) == pytest.approx(float(averaged(a, beta, k, w)), rel=TOLERANCE)


def test_the_two_references_agree_with_each_other() -> None:
    assert float(averaged(0.793, 4.426, 2.243, 0.9)) == pytest.approx(
        float(printed(0.793, 4.426, 2.243, 0.9)), rel=1e-14
    )


def test_nobody_buys_in_no_time_and_more_time_brings_more() -> None:
    found = [purchases_while_alive(0.8, 4.4, 2.2, w) for w in (0, 1e-9, 0.1, 1, 10, 1e4)]
    assert found[0] == 0
    assert found == sorted(found)


def test_a_rising_factorial_keeps_its_digits() -> None:
    random.seed(5)
    for _ in range(500):
        z, n = 10 ** random.uniform(-6, 7), 10 ** random.uniform(0, 6)
        with mpmath.workdps(50):
            exact = float(mpmath.loggamma(mpmath.mpf(z) + n) - mpmath.loggamma(mpmath.mpf(z)))
        assert log_rising(z, n) == pytest.approx(exact, rel=1e-12, abs=1e-12)
    assert log_rising(0.3, 0) == 0


def test_nodes_integrate_polynomials_exactly() -> None:
    for power in range(0, 32, 2):
        total = sum(weight * node**power for node, weight in gauss_legendre(16))
        assert total == pytest.approx(2 / (power + 1), rel=1e-13)
