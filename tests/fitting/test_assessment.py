"""The hold-out figures of domain.md are reproduced, and each measure does what its name says."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.forecast.purchasing import Leaving
from pipeline.fitting import vectors
from pipeline.fitting.assessment import Assessment, Verdict, assess, binned, compared, correlation, tracked
from pipeline.fitting.estimate import fit_purchases
from pipeline.fitting.history import Split
from pipeline.fitting.scoring import auc
from tests.fitting.samples import sample


@pytest.fixture(scope="module")
def cut() -> Split:
    return sample()


@pytest.fixture(scope="module")
def found(cut: Split) -> Assessment:
    return assess({leaving: fit_purchases(leaving, cut.seen, lambda: None).model for leaving in Leaving}, cut)


AUC = {
    "recency": 0.771,
    "bg_nbd expected purchases": 0.773,
    "bg_nbd chance to buy": 0.757,
    "mbg_nbd chance to buy": 0.760,
    "bg_nbd p_alive": 0.316,
}
"""domain.md 3, computed on the hold-out of the 1/10 sample."""


@pytest.mark.parametrize(("name", "value"), AUC.items(), ids=str)
def test_the_rankings_of_the_sample(found: Assessment, name: str, value: float) -> None:
    assert round(dict(found.rankings)[name], 3) == value


def test_ranking_by_raw_p_alive_is_worse_than_chance_because_59_9_percent_bought_once(cut: Split) -> None:
    """domain.md 3."""
    assert round(100 * float((cut.seen.x == 0).mean()), 1) == 59.9


def test_the_model_beats_recency_on_the_sample_by_less_than_chance_could_make(found: Assessment) -> None:
    assert found.verdict.model > found.verdict.baseline
    assert found.verdict.low < 0 < found.verdict.high
    assert not found.verdict.beats


@pytest.mark.parametrize(("low", "high", "beats"), [(0.001, 0.02, True), (0.0, 0.02, False), (-0.0067, 0.0089, False)])
def test_a_model_beats_the_baseline_only_beyond_chance(low: float, high: float, beats: bool) -> None:
    assert Verdict(0.772, 0.771, low, high).beats is beats


def test_frequency_and_spend_of_the_sample(found: Assessment) -> None:
    """0.114: domain.md 3."""
    assert found.correlation == pytest.approx(0.114, abs=5e-4)


def test_the_groups_add_up_to_everybody(found: Assessment, cut: Split) -> None:
    assert [group.repeat for group in found.groups] == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    assert sum(group.customers for group in found.groups) == 2_357
    assert sum(group.customers * group.actual for group in found.groups) == pytest.approx(cut.later.sum())
    total = sum(group.customers * group.expected["bg_nbd"] for group in found.groups)
    assert total == pytest.approx(found.totals["bg_nbd"])


def test_the_tracking_curve_ends_where_the_summary_does(found: Assessment, cut: Split) -> None:
    """Actual repeat occasions at the end of calibration and hold-out; BG/NBD is within 5 % of both, as in the paper."""
    tracking = found.tracking
    at = {float(week): i for i, week in enumerate(tracking.weeks)}
    assert tracking.actual[at[39.0]] == cut.seen.x.sum()
    assert tracking.actual[at[78.0]] == cut.seen.x.sum() + cut.later.sum()
    for week in (39.0, 78.0):
        assert tracking.expected["bg_nbd"][at[week]] == pytest.approx(tracking.actual[at[week]], rel=0.05)


def test_the_tracking_curve_counts_each_customer_from_their_own_first_day(cut: Split) -> None:
    model = fit_purchases(Leaving.AFTER_REPEAT_PURCHASES, cut.seen, lambda: None).model
    direct = vectors.expected_from_new(model, cut.seen.T).sum()
    curve = tracked({Leaving.AFTER_REPEAT_PURCHASES: model}, cut)
    assert curve.expected["bg_nbd"][38] == pytest.approx(direct, rel=1e-12)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    score = np.array([1.0, 2, 2, 3, 5])
    bought = np.array([False, True, False, False, True])
    pairs = [(a > b) + 0.5 * (a == b) for a in score[bought] for b in score[~bought]]
    assert auc(score, bought) == pytest.approx(np.mean(pairs))
    assert auc(np.ones(5), bought) == 0.5


def test_the_interval_of_a_difference_is_that_of_resampling() -> None:
    """DeLong's margin against a thousand bootstrap samples of the same customers."""
    chance = np.random.default_rng(8)
    truth = chance.normal(size=600)
    bought = truth + chance.normal(size=600) > 0.8
    one, other = truth + chance.normal(size=600), truth + 2 * chance.normal(size=600)
    verdict = compared(one, other, bought)
    drawn = []
    for _ in range(1_000):
        these = chance.integers(0, 600, 600)
        drawn.append(auc(one[these], bought[these]) - auc(other[these], bought[these]))
    assert verdict.high - verdict.low == pytest.approx(2 * 1.96 * float(np.std(drawn)), rel=0.1)
    assert (verdict.low + verdict.high) / 2 == pytest.approx(verdict.model - verdict.baseline)


def test_customers_with_the_same_chance_are_in_the_same_bin() -> None:
    chance = np.array([0.2] * 60 + [0.5] * 20 + [0.9] * 20)
    bought = np.array([True] * 12 + [False] * 48 + [True] * 10 + [False] * 10 + [True] * 20)
    found = binned(chance, bought)
    assert [bin_.customers for bin_ in found] == [60, 20, 20]
    assert [bin_.predicted for bin_ in found] == pytest.approx([0.2, 0.5, 0.9])
    assert [bin_.bought for bin_ in found] == pytest.approx([0.2, 0.5, 1.0])


def test_there_is_no_correlation_where_nothing_varies(cut: Split) -> None:
    assert correlation(replace(cut.seen, mean=np.ones_like(cut.seen.mean))) is None
