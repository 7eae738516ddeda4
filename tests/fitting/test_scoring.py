"""The figures of a fit against figures computed by hand."""

from math import isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fitting.assessment import compared
from pipeline.fitting.scoring import (
    Floats,
    auc,
    brier,
    ece,
    lead,
    lift,
    log_loss,
    precision_at_capacity,
    reliability,
    scores,
    top,
)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


RISK, SILENT = floats(0.1, 0.4, 0.35, 0.8), floats(0, 0, 1, 1)


def test_auc_counts_the_pairs_that_are_ranked_right() -> None:
    """Of the four pairs (silent, not), three are ranked right: 0.35 > 0.1, 0.8 > 0.1, 0.8 > 0.4; 0.35 < 0.4 is not."""
    assert auc(RISK, SILENT) == 0.75


def test_a_tie_is_half_a_pair() -> None:
    assert auc(floats(0.5, 0.5, 0.9), floats(0, 1, 1)) == 0.75
    assert auc(floats(0.3, 0.3, 0.3), floats(0, 1, 1)) == 0.5


def test_one_outcome_alone_has_no_auc() -> None:
    assert isnan(auc(floats(0.2, 0.4), floats(1, 1)))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs(pairs: list[tuple[int, bool]]) -> None:
    silent, not_ = ([risk for risk, is_silent in pairs if is_silent == wanted] for wanted in (True, False))
    found = auc(floats(*(risk / 5 for risk, _ in pairs)), floats(*(float(s) for _, s in pairs)))
    if not silent or not not_:
        assert isnan(found)
    else:
        right = sum((one > other) + 0.5 * (one == other) for one in silent for other in not_)
        assert found == pytest.approx(right / len(silent) / len(not_))


def test_brier_is_the_mean_squared_distance() -> None:
    """(0.01 + 0.16 + 0.4225 + 0.04) / 4."""
    assert brier(RISK, SILENT) == pytest.approx(0.158125)


def test_log_loss_is_the_mean_surprise() -> None:
    by_hand = -(log(0.9) + log(0.6) + log(0.35) + log(0.8)) / 4
    assert log_loss(RISK, SILENT) == pytest.approx(by_hand)


def test_being_sure_and_wrong_costs_much_but_not_everything() -> None:
    assert log_loss(floats(0.0), floats(1)) == pytest.approx(-log(1e-12))


def test_ece_is_the_mean_distance_over_classes() -> None:
    """Two classes: 0.1 and 0.3 (mean 0.2, half silent); 0.6, 0.7, 0.8 (mean 0.7, two of three): 2/5*0.3 + 3/5*0.1/3."""
    assert ece(floats(0.1, 0.3, 0.6, 0.7, 0.8), floats(0, 1, 1, 0, 1), bins=2) == pytest.approx(0.14)


def test_a_risk_on_a_border_is_in_the_class_above_and_certainty_in_the_last() -> None:
    found = reliability(floats(0.5, 1.0, 0.4), floats(1, 1, 0), bins=2)
    assert [(one.contacts, one.risk, one.silent) for one in found] == [(1, 0.4, 0.0), (2, 0.75, 1.0)]


def test_a_risk_that_is_right_has_almost_no_ece() -> None:
    random = np.random.default_rng(3)
    risk = random.uniform(size=200_000)
    assert ece(risk, (random.uniform(size=len(risk)) < risk).astype(float)) < 0.005


def test_the_highest_share_what_is_tied_at_the_border() -> None:
    risk, silent = floats(0.9, 0.5, 0.5, 0.5, 0.1), floats(1, 1, 0, 0, 1)
    assert top(risk, silent, 1) == 1
    assert top(risk, silent, 2) == pytest.approx(1 + 1 / 3)
    assert top(risk, silent, 4) == pytest.approx(2)
    assert top(risk, silent, 9) == 3


def test_lift_is_how_much_more_often_than_on_average() -> None:
    """Of ten, three fell silent; the highest is one of them: 1 / 0.3."""
    risk = floats(*(number / 10 for number in range(10)))
    assert lift(risk, floats(1, 1, 0, 0, 0, 0, 0, 0, 0, 1), 0.1) == pytest.approx(1 / 0.3)
    assert isnan(lift(risk, np.zeros(10)))


def test_precision_at_capacity_takes_the_highest_of_each_day() -> None:
    """Day 1: 0.9 (silent) and 0.8 (not) of three; day 2: its only one (silent). Two of three."""
    days = np.array([1, 2, 1, 1])
    assert precision_at_capacity(floats(0.9, 0.1, 0.8, 0.7), floats(1, 1, 0, 1), days, 2) == pytest.approx(2 / 3)


def test_all_figures_come_together() -> None:
    found = scores(RISK, SILENT, np.zeros(4, dtype=np.int64), 2)
    assert found.auc == 0.75
    assert found.brier == pytest.approx(0.158125)
    assert (found.lift, found.precision_at_capacity) == (2.0, 0.5)


def test_a_lead_is_that_of_delong_where_every_customer_is_seen_once() -> None:
    random = np.random.default_rng(3)
    silent = (random.uniform(size=400) < 0.4).astype(np.float64)
    one = floats(*np.round(np.clip(0.4 + 0.2 * (silent - 0.4) + random.normal(0, 0.2, 400), 0.01, 0.99), 2))
    other = floats(*np.round(np.clip(0.4 + random.normal(0, 0.2, 400), 0.01, 0.99), 2))
    published = compared(one, other, silent == 1)
    found = lead(one, other, silent, np.arange(400))
    assert found.auc == pytest.approx(published.low, abs=1e-3)
    assert found.is_sure
    assert not lead(other, one, silent, np.arange(400)).is_sure


def test_observations_of_one_customer_are_no_independent_evidence() -> None:
    random = np.random.default_rng(5)
    silent = (random.uniform(size=100) < 0.5).astype(np.float64)
    one, other = 0.5 + 0.1 * (silent - 0.5) + random.normal(0, 0.1, 100), np.full(100, 0.5)
    once = lead(one, other, silent, np.arange(100))
    nine = [np.repeat(values, 9) for values in (one, other, silent, np.arange(100))]
    assert lead(nine[0], nine[1], nine[2], nine[3]).log_loss == pytest.approx(once.log_loss)
    assert lead(nine[0], nine[1], nine[2], np.arange(900)).log_loss > once.log_loss


def test_the_same_twice_leads_by_nothing() -> None:
    silent = np.array([0.0, 1.0, 0.0, 1.0])
    risk = np.array([0.1, 0.4, 0.35, 0.8])
    assert lead(risk, risk, silent, np.arange(4)) == (0.0, 0.0)
    assert not lead(risk, risk, silent, np.arange(4)).is_sure
