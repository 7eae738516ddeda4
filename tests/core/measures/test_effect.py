"""The measured effect against the published examples of its formulas, and what is said about it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.measures.effect import Arm, customers_needed, effect, in_words, smallest_effect
from pipeline.errors import Refused

NEWCOMBE = {
    "56/70 - 48/80": ((56, 70), (48, 80), (0.0524, 0.3339)),
    "9/10 - 3/10": ((9, 10), (3, 10), (0.1705, 0.8090)),
    "6/7 - 2/7": ((6, 7), (2, 7), (0.0582, 0.8062)),
    "5/56 - 0/29": ((5, 56), (0, 29), (-0.0381, 0.1926)),
    "0/10 - 0/20": ((0, 10), (0, 20), (-0.1611, 0.2775)),
    "0/10 - 0/10": ((0, 10), (0, 10), (-0.2775, 0.2775)),
    "10/10 - 0/20": ((10, 10), (0, 20), (0.6791, 1.0)),
    "10/10 - 0/10": ((10, 10), (0, 10), (0.6075, 1.0)),
}
"""Newcombe 1998, Statistics in Medicine 17:873-890, table II, method 10."""


@pytest.mark.parametrize(("one", "other", "limits"), NEWCOMBE.values(), ids=NEWCOMBE)
def test_the_interval_is_newcombes(one: tuple[int, int], other: tuple[int, int], limits: tuple[float, float]) -> None:
    found = effect(Arm(one[1], one[0]), Arm(other[1], other[0])).difference
    assert (round(found.low, 4), round(found.high, 4)) == limits


def test_the_relative_risk_is_that_of_the_aspirin_trial() -> None:
    """Agresti, Categorical Data Analysis: infarctions 189 of 11,034 and 104 of 11,037; 1.82, from 1.43 to 2.31."""
    found = effect(Arm(11_034, 189), Arm(11_037, 104)).relative_risk
    assert found is not None
    assert tuple(round(value, 2) for value in found) == (1.82, 1.43, 2.31)


def test_the_relative_risk_of_large_shares_is_as_computed_by_hand() -> None:
    """15 of 20 and 5 of 20: 3, and exp(+-1.96 * sqrt(1/15 - 1/20 + 1/5 - 1/20)) = exp(+-0.8001) around it."""
    found = effect(Arm(20, 15), Arm(20, 5)).relative_risk
    assert found is not None
    assert tuple(round(value, 2) for value in found) == (3.0, 1.35, 6.68)


@pytest.mark.parametrize(("one", "other"), [((10, 0), (10, 3)), ((10, 3), (10, 0)), ((10, 0), (10, 0))])
def test_there_is_no_relative_risk_where_an_arm_lost_nobody(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert effect(Arm(*one), Arm(*other)).relative_risk is None


def test_acting_can_harm() -> None:
    """domain.md 1.12: 10.0 % treated against 6.4 % control; the sizes of the arms are chosen here."""
    found = effect(Arm(10_000, 1_000), Arm(10_000, 640))
    assert found.verdict == "acting harmed"
    assert found.difference.value == pytest.approx(0.036)
    assert found.relative_risk is not None
    assert found.relative_risk.value == pytest.approx(1.5625)
    assert "(10.0%)" in in_words(found)
    assert "(6.4%)" in in_words(found)
    assert "+3.6 percentage points" in in_words(found)
    assert "Acting does harm" in in_words(found)


def test_the_same_shares_of_few_customers_show_nothing() -> None:
    found = effect(Arm(100, 10), Arm(100, 6))
    assert found.verdict == "no significant difference"
    assert "can be chance" in in_words(found)


def test_the_arms_exchanged_say_the_opposite() -> None:
    harm, help_ = effect(Arm(10_000, 1_000), Arm(10_000, 640)), effect(Arm(10_000, 640), Arm(10_000, 1_000))
    assert help_.verdict == "acting helped"
    assert help_.difference == pytest.approx((-harm.difference.value, -harm.difference.high, -harm.difference.low))
    assert "Acting keeps customers" in in_words(help_)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random, kept = Random(5), 0
    for _ in range(2_000):
        one = Arm(60, sum(random.random() < 0.2 for _ in range(60)))
        other = Arm(40, sum(random.random() < 0.35 for _ in range(40)))
        found = effect(one, other).difference
        kept += found.low <= -0.15 <= found.high
    assert 0.935 < kept / 2_000 < 0.975


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = (effect(Arm(500, 60), Arm(500, 90), level).difference for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("treated", "held_out", "said"), [(5, 0, "nobody was held out"), (0, 5, "acted for")])
def test_an_empty_arm_is_refused_with_what_is_missing(treated: int, held_out: int, said: str) -> None:
    with pytest.raises(Refused, match=said):
        effect(Arm(treated, 0), Arm(held_out, 0))


@pytest.mark.parametrize(("customers", "left"), [(10, 11), (10, -1), (-1, 0)])
def test_counts_that_cannot_be_are_refused(customers: int, left: int) -> None:
    with pytest.raises(ValueError, match="cannot have left"):
        Arm(customers, left)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        effect(Arm(10, 1), Arm(10, 1), level)


# --- what could have been shown


@pytest.mark.parametrize(("share", "customers"), [(0.1, 15_321), (0.2, 8_515), (0.5, 5_252)])
def test_so_many_customers_show_that_three_of_twenty_leavers_stay(share: float, customers: int) -> None:
    """Churn 20 %, an uplift of 3 points, 95 % confidence, found four times in five."""
    assert customers_needed(0.2, 0.03, share) == customers
    assert customers_needed(0.2, 0.03, share, 0.99) > customers


@given(st.floats(0.01, 0.99), st.floats(0.05, 0.95), st.floats(0.1, 0.9))
def test_the_smallest_effect_is_that_for_which_the_customers_are_just_enough(
    churn: float, share: float, part: float
) -> None:
    needed = customers_needed(churn, churn * part, share)
    held_out = round(needed * share)
    if held_out > 500 and needed - held_out > 500:
        assert smallest_effect(churn, needed - held_out, held_out) == pytest.approx(churn * part, rel=0.01)


def test_an_effect_of_the_smallest_size_is_found_four_times_in_five() -> None:
    random, found = Random(7), 0
    smallest = smallest_effect(0.2, 900, 900)
    assert smallest is not None
    for _ in range(1_000):
        treated = Arm(900, sum(random.random() < 0.2 - smallest for _ in range(900)))
        found += effect(treated, Arm(900, sum(random.random() < 0.2 for _ in range(900)))).verdict == "acting helped"
    assert 0.76 < found / 1_000 < 0.84


def test_too_few_customers_could_have_shown_nothing_and_it_is_said() -> None:
    found = effect(Arm(10, 1), Arm(8, 2))
    assert found.smallest_effect is None
    assert "could not have shown any effect" in in_words(found)


def test_what_could_have_been_shown_is_said_beside_the_interval() -> None:
    found = effect(Arm(900, 180), Arm(100, 20))
    assert found.smallest_effect == smallest_effect(0.2, 900, 100)
    assert "The smallest effect they could have shown (four times in five) is 11.5 points." in in_words(found)
    assert "3 points would take 15,321 customers with an alert" in in_words(found)


@pytest.mark.parametrize(
    ("churn", "uplift", "share"), [(0.2, 0, 0.1), (0.2, 0.21, 0.1), (0.2, 0.1, 0), (0.2, 0.1, 1), (1.1, 0.1, 0.1)]
)
def test_effects_that_cannot_be_are_refused(churn: float, uplift: float, share: float) -> None:
    with pytest.raises(ValueError, match="an effect lies between"):
        customers_needed(churn, uplift, share)
