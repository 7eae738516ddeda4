"""The published parameters are found to the printed digits, and known ones are found again in made-up data."""

import random
from math import log

import pytest

from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.errors import Refused
from pipeline.fitting.bought import Bought
from pipeline.fitting.estimate import PURCHASE_STARTS, Fit, fit_purchases, fit_spend, maximise
from pipeline.fitting.history import Split, log_of, summarise
from tests.fitting.samples import sample, synthetic


@pytest.fixture(scope="module")
def cut() -> Split:
    return sample()


def nothing() -> None:
    """Progress nobody watches."""


def rounded(fit: Fit[PurchaseModel]) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in fit.maximum.parameters)


def test_bg_nbd_on_the_sample(cut: Split) -> None:
    """r .243, alpha 4.414, a .793, b 2.426, LL -9582.43: Fader, Hardie & Lee 2005, table 2."""
    fit = fit_purchases(Leaving.AFTER_REPEAT_PURCHASES, cut.seen, nothing)
    assert rounded(fit) == (0.243, 4.414, 0.793, 2.426)
    assert round(fit.maximum.log_likelihood, 2) == -9582.43
    assert (fit.maximum.agreeing, fit.maximum.starts) == (5, 5)


def test_mbg_nbd_on_the_sample(cut: Split) -> None:
    """0.525, 6.183, 0.891, 1.614: domain.md 3, on the 1/10 sample."""
    assert rounded(fit_purchases(Leaving.AFTER_ANY_PURCHASE, cut.seen, nothing)) == (0.525, 6.183, 0.891, 1.614)


def test_gamma_gamma_on_the_sample(cut: Split) -> None:
    """p 6.25, q 3.74, gamma 15.44 over 946 repeat buyers: Fader & Hardie 2013."""
    fit = fit_spend(cut.seen, nothing)
    assert tuple(round(value, 2) for value in fit.maximum.parameters) == (6.25, 3.74, 15.44)
    assert fit.customers == 946


def test_standard_errors_are_those_of_the_curvature() -> None:
    """Exponential waiting times: the rate's standard error is rate / sqrt(n), whatever the search does."""
    n, mean = 400, 2.5
    found = maximise(lambda rate: n * (log(rate[0]) - rate[0] * mean), [(1.0,), (7.0,)], nothing)
    assert found.errors is not None
    assert (*found.parameters, *found.errors) == pytest.approx((0.4, 0.4 / 20), rel=1e-4)


@pytest.mark.parametrize("leaving", Leaving)
def test_known_parameters_are_found_again(leaving: Leaving) -> None:
    """4,000 made-up customers whose parameters are known: each is found within three of its standard errors."""
    truth = PurchaseModel(leaving=leaving, r=0.6, alpha=5.0, a=0.9, b=2.5)
    seen = summarise(log_of(synthetic(truth, 4_000, 104, seed=4)), 104 * 7 - 1)
    found = fit_purchases(leaving, seen, nothing).maximum
    assert found.errors is not None
    for value, error, true in zip(found.parameters, found.errors, (0.6, 5.0, 0.9, 2.5), strict=True):
        assert abs(value - true) < 3 * error
        assert error < 0.5 * true


def test_every_start_is_reported(cut: Split) -> None:
    calls: list[None] = []
    fit_purchases(Leaving.AFTER_REPEAT_PURCHASES, cut.seen, lambda: calls.append(None))
    assert len(calls) == len(PURCHASE_STARTS)


def test_what_the_data_do_not_determine_has_no_standard_error() -> None:
    """Nobody ever leaves: a / (a + b) runs to 0, and no a and b are better than others."""
    weekly = [Bought(f"c{n}", 7 * week + n % 5, 10_000, "EUR") for n in range(300) for week in range(0, 52, 1 + n % 7)]
    seen = summarise(log_of(weekly), 180)
    assert fit_purchases(Leaving.AFTER_REPEAT_PURCHASES, seen, nothing).maximum.errors is None


WILD = [round(10 ** random.Random(n).uniform(0, 6)) for n in range(300)]
"""Amounts from 1 to 1,000,000, as many between 1 and 10 as between 100,000 and 1,000,000."""


def spenders(count: int, *amounts: int) -> list[Bought]:
    """Customers who come back twice, for one of the amounts."""
    return [Bought(f"c{n}", day, amounts[n % len(amounts)] * 10_000, "EUR") for n in range(count) for day in (0, 9, 13)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (spenders(49, 10, 20), r"49 customers with a repeat purchase above zero, 50 are needed.*--no-spend"),
        (spenders(300, 0), "0 customers with a repeat purchase above zero"),
        (spenders(300, 25), "everybody spends the same"),
        (spenders(300, *WILD), r"parameter q = 0\.\d+, and it must be above 1.*--no-spend"),
    ],
    ids=["too few", "nobody pays", "no differences", "no expected spend"],
)
def test_spend_that_cannot_be_learned_is_refused_with_the_remedy(rows: list[Bought], message: str) -> None:
    with pytest.raises(Refused, match=message):
        fit_spend(summarise(log_of(rows), 20), nothing)
