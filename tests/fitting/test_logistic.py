"""The penalised regression: against what can be computed by hand, and against its own definition."""

from math import log

import numpy as np
import pytest

from pipeline.fitting.logistic import Pull, errors, fit, inseparable, risk
from pipeline.fitting.scoring import Floats

RANDOM = np.random.default_rng(1)
FREE = np.inf


def pull(columns: int, *, centre: float = 0.0, weight: float = 0.0, low: float = -FREE, high: float = FREE) -> Pull:
    return Pull(*(np.full(columns, value) for value in (centre, weight, low, high)))


def made(rows: int, true: list[float]) -> tuple[Floats, Floats]:
    columns = np.column_stack([np.ones(rows), RANDOM.normal(size=(rows, len(true) - 1))])
    return columns, (RANDOM.uniform(size=rows) < risk(columns, np.array(true))).astype(np.float64)


def test_a_two_by_two_table_gives_the_log_odds_ratio_and_its_error() -> None:
    """30 of 50 and 10 of 40: log odds 0.405 and -1.099; error of the ratio: sqrt(1/30 + 1/20 + 1/10 + 1/30)."""
    columns = np.column_stack([np.ones(90), np.repeat([0.0, 1.0], [50, 40])])
    silent = np.concatenate([np.ones(30), np.zeros(20), np.ones(10), np.zeros(30)])
    found = fit(columns, silent, pull(2))
    assert found == pytest.approx([log(30 / 20), log(10 / 30) - log(30 / 20)], abs=1e-6)
    alone = errors(columns, silent, found, pull(2), np.arange(90))
    assert alone[1] == pytest.approx((1 / 30 + 1 / 20 + 1 / 10 + 1 / 30) ** 0.5, rel=1e-6)


def test_every_customer_twice_is_no_more_evidence() -> None:
    columns, silent = made(500, [0.2, -0.5])
    once = errors(columns, silent, fit(columns, silent, pull(2)), pull(2), np.arange(500))
    twice, again = np.repeat(columns, 2, axis=0), np.repeat(silent, 2)
    same = errors(twice, again, fit(twice, again, pull(2)), pull(2), np.repeat(np.arange(500), 2))
    assert same == pytest.approx(once, rel=1e-6)


def test_no_pull_finds_the_truth_and_a_strong_one_the_prior() -> None:
    columns, silent = made(60_000, [-0.4, 0.9, -0.6])
    assert fit(columns, silent, pull(3)) == pytest.approx([-0.4, 0.9, -0.6], abs=0.05)
    assert fit(columns, silent, pull(3, centre=0.3, weight=1e9)) == pytest.approx([0.3] * 3, abs=1e-3)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    kept = 0
    for _ in range(400):
        columns, silent = made(300, [-0.3, 0.7])
        found = fit(columns, silent, pull(2))
        kept += abs(found[1] - 0.7) <= 1.96 * errors(columns, silent, found, pull(2), np.arange(300))[1]
    assert 0.92 < kept / 400 < 0.98


def test_a_bound_holds_and_the_rest_makes_the_best_of_it() -> None:
    columns, silent = made(5_000, [0.5, 1.0, -1.0])
    bound = Pull(np.zeros(3), np.zeros(3), np.array([-FREE, -FREE, 0.0]), np.full(3, FREE))
    found = fit(columns, silent, bound)
    assert found[2] == 0
    assert found[:2] == pytest.approx(fit(columns[:, :2], silent, pull(2)), abs=1e-6)


def test_outcomes_that_can_be_told_apart_come_to_an_end() -> None:
    columns = np.column_stack([np.ones(20), np.repeat([0.0, 1.0], 10)])
    found = fit(columns, columns[:, 1].copy(), pull(2, weight=1e-6))
    assert np.isfinite(found).all()
    assert (risk(columns, found) > 0.5).tolist() == (columns[:, 1] > 0.5).tolist()


def test_columns_that_add_up_to_others_are_named() -> None:
    one = RANDOM.uniform(size=50) < 0.5
    columns = np.column_stack([np.ones(50), one, ~one, RANDOM.normal(size=50)])
    assert inseparable(columns).tolist() == [True, True, True, False]


def test_a_risk_is_never_out_of_bounds() -> None:
    assert risk(np.array([[1000.0], [-1000.0]]), np.array([5.0])).tolist() == [1.0, 0.0]
