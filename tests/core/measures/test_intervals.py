"""Intervals against published tables, exact sums and simulation."""

import random
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.measures.effect import Arm, effect
from pipeline.core.measures.intervals import Estimate, beta_share, compare, exact, mean, student, wilson
from pipeline.core.measures.shift import ratio_of
from pipeline.core.measures.surveys import nps


@pytest.mark.parametrize(
    ("freedom", "point"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (120, 1.980), (1_000_000, 1.960)],
)
def test_students_points_are_those_of_the_printed_table(freedom: int, point: float) -> None:
    """Any table of the t distribution, two-sided 5 %."""
    assert round(student(freedom), 3) == point


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    found = wilson(hits, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_the_exact_interval_is_that_of_newcombes_table(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 5 (Clopper & Pearson)."""
    found = exact(hits, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 99))
def test_the_beta_share_is_the_binomial_tail(a: int, b: int, percent: int) -> None:
    """For whole numbers I_x(a, b) is the chance of at least ``a`` of ``a + b - 1`` (DLMF 8.17.5): summed exactly."""
    x, n = Fraction(percent, 100), a + b - 1
    tail = sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
    assert beta_share(a, b, percent / 100) == pytest.approx(float(tail), rel=1e-9, abs=1e-14)


def covered(n: int, share: float) -> float:
    """How often the exact interval of ``n`` holds the true share: summed over everything that can happen."""
    held = (k for k in range(n + 1) if exact(k, n).low <= share <= exact(k, n).high)
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in held)


@pytest.mark.parametrize("n", [1, 7, 40])
@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.8])
def test_the_exact_interval_never_covers_less_than_it_says(n: int, share: float) -> None:
    assert covered(n, share) >= 0.95


@pytest.mark.parametrize("broken", [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(broken: tuple[int, int]) -> None:
    for method in (wilson, exact):
        with pytest.raises(ValueError, match="at least one answer"):
            method(*broken)


def test_the_interval_of_a_mean_is_students() -> None:
    """0, 0.5, 1: mean 0.5, standard error 0.5 / sqrt(3), t(2) = 4.303: cut off at both ends."""
    assert mean({0.0: 1, 0.5: 1, 1.0: 1}) == Estimate(0.5, 0.0, 1.0, 3)
    found = mean({0.4: 4, 0.6: 4})
    half = 2.3646 * (8 * 0.01 / 7 / 8) ** 0.5
    assert found.n == 8
    assert found.value == pytest.approx(0.5)
    assert found.high - found.value == pytest.approx(half, abs=1e-5)


@given(st.permutations([(score / 7, score + 1) for score in range(8)]))
def test_the_order_of_answers_does_not_show_in_their_mean(answers: list[tuple[float, int]]) -> None:
    assert mean(dict(answers)) == mean(dict(sorted(answers)))


def test_answers_that_are_all_the_same_are_no_certainty() -> None:
    assert mean({1.0: 3}) == wilson(3, 3)
    assert mean({1.0: 3}).low < 0.5
    assert mean({0.5: 1}).high - mean({0.5: 1}).low > 0.8


@pytest.mark.parametrize("broken", [{}, {0.5: 0}, {1.2: 1}, {-0.1: 2}])
def test_a_mean_of_nothing_or_off_the_scale_is_refused(broken: dict[float, int]) -> None:
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        mean(broken)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((10, 10), (0, 10), 0.6075, 1.0)],
)
def test_two_shares_differ_as_in_newcombes_table(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10, examples (a), (b) and (h)."""
    found = compare(wilson(*other), wilson(*one))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.verdict == "higher"
    assert compare(wilson(*one), wilson(*other)).verdict == "lower"


def test_the_same_share_twice_is_called_a_change_one_time_in_twenty() -> None:
    """4,000 pairs of periods with the same true share: 5 % false alarms, within three standard errors."""
    source = random.Random(20)
    false = 0
    for _ in range(4_000):
        one, other = (wilson(sum(source.random() < 0.3 for _ in range(80)), 80) for _ in range(2))
        false += compare(one, other).verdict != "no significant change"
    assert 0.03 < false / 4_000 < 0.06


def test_a_figure_outside_its_own_interval_adds_nothing_to_the_difference() -> None:
    """As an adjusted interval can be with very few answers: 1.0 in 0.5 … 0.9 reaches 0.5 down, and nowhere up."""
    odd = Estimate(1.0, 0.5, 0.9, 3)
    found = compare(odd, odd)
    assert (found.low, found.high, found.verdict) == (-0.5, 0.5, "no significant change")


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says() -> None:
    """4,000 samples of 25 skewed answers of 1 to 7: near 95 %, somewhat below because the answers are skewed."""
    source, weights = random.Random(8), (4, 6, 10, 15, 20, 25, 20)
    truth = sum(score * weight for score, weight in enumerate(weights)) / 6 / 100
    held = 0
    for _ in range(4_000):
        found = mean({s / 6: n for s, n in Counter(source.choices(range(7), weights, k=25)).items()})
        held += found.low <= truth <= found.high
    assert 0.93 < held / 4_000 < 0.965


FEW = [(hits, n) for n in range(1, 40) for hits in range(n + 1)]


@pytest.mark.parametrize("of", [wilson, exact], ids=["wilson", "exact"])
def test_an_interval_of_a_share_contains_the_share(of: Callable[[int, int], Estimate]) -> None:
    for hits, n in FEW:
        found = of(hits, n)
        assert 0 <= found.low <= found.value <= found.high <= 1, (hits, n)


def test_an_interval_of_a_mean_contains_the_mean() -> None:
    for hits, n in FEW:
        for counts in ({0.0: n - hits, 1.0: hits}, {0.25: n - hits, 0.5: hits}, {0.1: n}, {0.0: n}, {1.0: n}):
            found = mean(counts)
            assert 0 <= found.low <= found.value <= found.high <= 1, counts


def test_an_interval_of_a_recommendation_score_contains_the_score() -> None:
    for hits, n in FEW:
        for scores in ({10: hits, 0: n - hits}, {10: hits, 7: n - hits}, {0: hits, 8: n - hits}):
            found = nps(scores)
            assert found is not None
            for low, high in (found.adjusted, found.wald):
                assert -100 <= low <= found.score <= high <= 100, scores


def test_an_interval_of_a_ratio_or_a_difference_contains_it() -> None:
    for hits, n in FEW:
        ratio = ratio_of(hits, n - hits)
        assert ratio is not None
        assert ratio.low <= ratio.value <= ratio.high
        for other in (0, n // 2, n):
            found = effect(Arm(n, hits), Arm(n, other))
            assert found.difference.low <= found.difference.value <= found.difference.high
            if found.relative_risk is not None:
                assert found.relative_risk.low <= found.relative_risk.value <= found.relative_risk.high
            change = compare(wilson(hits, n), wilson(other, n))
            assert change.low <= change.difference <= change.high
