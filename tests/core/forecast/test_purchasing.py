"""Purchase models: the papers' figures, impossible input, and properties that hold for every customer."""

import sys
from collections.abc import Callable
from dataclasses import replace
from math import inf, log, nan
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.forecast import spending
from pipeline.core.forecast.purchasing import (
    Leaving,
    PurchaseHistory,
    PurchaseModel,
    chance_to_buy,
    expected_from_new,
    expected_purchases,
    history_of,
    log_likelihood,
    p_alive,
    shown_alive,
)
from pipeline.core.forecast.spending import SpendModel, expected_spend, expected_value
from pipeline.core.state.customer import Customer
from pipeline.errors import Refused

BG = PurchaseModel(leaving=Leaving.AFTER_REPEAT_PURCHASES, r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Fader, Hardie & Lee 2005, table 2."""
MBG = PurchaseModel(leaving=Leaving.AFTER_ANY_PURCHASE, r=0.525, alpha=6.183, a=0.891, b=1.614)
"""Batislam, Denizel & Filiztekin 2007, on the same sample."""
SPEND = SpendModel(p=6.25, q=3.74, gamma=15.44)
"""Fader & Hardie 2013."""
FIRST = PurchaseHistory(x=2, t_x=30.43, T=38.86)
"""Customer 0001 of the 1/10 sample at the end of its 39 weeks."""
ONCE = PurchaseHistory(x=0, t_x=0.0, T=38.86)

parameters = st.floats(-4, 4).map(lambda e: 10**e)
models = st.builds(
    PurchaseModel, leaving=st.sampled_from(Leaving), r=parameters, alpha=parameters, a=parameters, b=parameters
)


@st.composite
def histories(draw: st.DrawFn) -> PurchaseHistory:
    days = draw(st.integers(1, 7_300))
    last = draw(st.integers(1, days))
    x = draw(st.integers(0, min(last, 10_000)))
    return PurchaseHistory(x=x, t_x=last / 7 if x else 0.0, T=days / 7)


def test_customer_0001_is_expected_to_buy_1_226_times_in_39_weeks() -> None:
    """E[Y(39)] = 1.226: Fader, Hardie & Lee, "Implementing the BG/NBD Model in Excel"."""
    assert expected_purchases(BG, FIRST, 39) == pytest.approx(1.226, abs=5e-4)


def test_customer_0001_is_alive_with_0_7266() -> None:
    """P(alive): domain.md 3, computed from the published parameters."""
    assert p_alive(BG, FIRST) == pytest.approx(0.7266, abs=5e-5)


def written_out(model: PurchaseModel, history: PurchaseHistory) -> tuple[float, float, float]:
    """ln L, P(alive), E[Y(39)] as the papers print them, in 60 digits."""
    with mpmath.workdps(60):
        r, alpha, a, b, t_x, now = (
            mpmath.mpf(v) for v in (model.r, model.alpha, model.a, model.b, history.t_x, history.T)
        )
        x, g = history.x, mpmath.gamma
        modified = model.leaving is Leaving.AFTER_ANY_PURCHASE
        s = x + modified
        gone = a / (b + s - 1) * (alpha + t_x) ** -(r + x) if s else mpmath.mpf(0)
        here = (alpha + now) ** -(r + x)
        likelihood = g(r + x) * alpha**r / g(r) * g(a + b) * g(b + s) / (g(b) * g(a + b + s)) * (here + gone)
        alive = here / (here + gone)
        z = 39 / (alpha + now + 39)
        inner = (1 - z) ** (r + x) * mpmath.hyp2f1(r + x, b + s, a + b + s - 1, z)
        return (
            float(mpmath.log(likelihood)), float(alive), float((a + b + s - 1) / (a - 1) * (1 - inner) * alive)
        )  # fmt: skip


CUSTOMERS = (ONCE, FIRST, PurchaseHistory(x=26, t_x=38.0, T=38.86), PurchaseHistory(x=400, t_x=500.0, T=1043.0),
             PurchaseHistory(x=7_000, t_x=1_040.0, T=1_043.0), PurchaseHistory(x=10_000, t_x=1_430.0, T=1_430.0),
             PurchaseHistory(x=1, t_x=1 / 7, T=1_043.0))  # fmt: skip


@pytest.mark.parametrize("history", CUSTOMERS, ids=lambda h: f"x={h.x}")
@pytest.mark.parametrize("model", [BG, MBG, replace(BG, a=40.0, b=9e3), replace(MBG, r=80.0, a=0.02)], ids=str)
def test_the_formulas_are_those_of_the_papers(model: PurchaseModel, history: PurchaseHistory) -> None:
    found = (log_likelihood(model, history), p_alive(model, history), expected_purchases(model, history, 39))
    assert found == pytest.approx(written_out(model, history), rel=1e-9)


def test_the_printed_formula_has_no_value_where_this_one_is_smooth() -> None:
    near, at = (expected_purchases(replace(BG, a=a), FIRST, 39) for a in (1 + 1e-12, 1.0))
    assert at == pytest.approx(near, rel=1e-9)


@settings(deadline=None)
@given(models, histories(), st.just(0.0) | st.floats(1e-6, 1043))
def test_chances_are_chances_and_a_buyer_buys_at_least_once(
    model: PurchaseModel, history: PurchaseHistory, t: float
) -> None:
    alive, buys = p_alive(model, history), chance_to_buy(model, history, t)
    assert 0 <= buys <= alive <= 1
    expected = expected_purchases(model, history, t)
    assert expected >= buys * (1 - 1e-9)
    rate = (model.r + history.x) / (model.alpha + history.T)
    assert expected <= rate * t * alive * (1 + 1e-9)


@settings(deadline=None)
@given(models, histories(), st.floats(0, 500))
def test_silence_lowers_every_answer(model: PurchaseModel, history: PurchaseHistory, weeks: float) -> None:
    later = replace(history, T=history.T + weeks)
    assert p_alive(model, later) <= p_alive(model, history) * (1 + 1e-12)
    assert chance_to_buy(model, later, 12) <= chance_to_buy(model, history, 12) * (1 + 1e-9)
    assert expected_purchases(model, later, 12) <= expected_purchases(model, history, 12) * (1 + 1e-9)


@settings(deadline=None)
@given(models, st.floats(0.1, 200))
def test_a_new_customer_under_either_model(model: PurchaseModel, weeks: float) -> None:
    expected = expected_from_new(model, weeks)
    most = model.r / model.alpha * weeks
    assert 0 <= expected <= most * (1 + 1e-9)


def test_p_alive_is_not_shown_where_it_says_nothing() -> None:
    assert p_alive(BG, ONCE) == 1.0
    assert shown_alive(BG, ONCE) is None
    assert shown_alive(BG, FIRST) == p_alive(BG, FIRST)
    assert shown_alive(MBG, ONCE) == p_alive(MBG, ONCE) < 1


def test_a_customer_bound_by_contract_is_refused() -> None:
    bound = replace(FIRST, contractual=True)
    asked: tuple[Callable[[], object], ...] = (
        lambda: p_alive(BG, bound),
        lambda: shown_alive(BG, replace(ONCE, contractual=True)),
        lambda: expected_purchases(MBG, bound, 39),
        lambda: chance_to_buy(MBG, bound, 39),
        lambda: log_likelihood(BG, bound),
        lambda: expected_value(BG, SPEND, bound, 2, 20.0, 39),
    )
    for ask in asked:
        with pytest.raises(Refused, match="contract"):
            ask()


@pytest.mark.parametrize("value", [0, -1.0, nan, inf, -inf, 1e-9, 1e12, "0.2", None, True], ids=repr)
@pytest.mark.parametrize("name", ["r", "alpha", "a", "b"])
def test_a_parameter_that_makes_no_sense_is_named(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=f"parameter {name} "):
        replace(BG, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("p", -1.0), ("q", 1.0), ("q", 0.4), ("q", nan), ("gamma", inf)])
def test_a_spend_parameter_that_makes_no_sense_is_named(name: str, value: float) -> None:
    with pytest.raises(Refused, match=f"parameter {name} "):
        replace(SPEND, **{name: value})


@pytest.mark.parametrize(
    ("x", "t_x", "T"),
    [(-1, 0, 1), (0, 1, 2), (1, 0, 2), (1, 3, 2), (1, nan, 2), (1, 1, nan), (1, 1, inf), (0, -1, 2), (10**7, 1, 2)],
)
def test_an_impossible_history_is_refused(x: int, t_x: float, T: float) -> None:  # noqa: N803 - the papers' name
    with pytest.raises(Refused):
        PurchaseHistory(x=x, t_x=t_x, T=T)


@pytest.mark.parametrize("weeks", [-1, nan, inf])
def test_an_impossible_horizon_is_refused(weeks: float) -> None:
    for ask in (expected_purchases, chance_to_buy):
        with pytest.raises(Refused, match="horizon"):
            ask(BG, FIRST, weeks)


def test_a_history_is_read_from_the_state_for_any_day() -> None:
    """Days 10, 11 and 31 bought; asked before, between and after."""
    customer = Customer(customer_id="c", occasions_from=10, occasions=(1 | 1 << 1 | 1 << 21).to_bytes(3, "little"))
    assert history_of(customer, 9, contractual=False) is None
    assert history_of(customer, 10, contractual=False) == PurchaseHistory(x=0, t_x=0.0, T=0.0)
    assert history_of(customer, 24, contractual=False) == PurchaseHistory(x=1, t_x=1 / 7, T=2.0)
    assert history_of(customer, 45, contractual=True) == PurchaseHistory(x=2, t_x=3.0, T=5.0, contractual=True)
    assert history_of(Customer(customer_id="new"), 45, contractual=False) is None


def test_expected_spend_pulls_few_purchases_towards_the_population() -> None:
    """E[M] = p(gamma + x m)/(p x + q - 1): domain.md 3; the population's mean is p gamma/(q-1) = 35.2 USD."""
    population = expected_spend(SPEND, 0, 0.0)
    assert population == pytest.approx(6.25 * 15.44 / 2.74)
    assert expected_spend(SPEND, 1, 100.0) < expected_spend(SPEND, 10, 100.0) < 100
    assert expected_value(BG, SPEND, FIRST, 2, 22.35, 39) == pytest.approx(
        expected_purchases(BG, FIRST, 39) * expected_spend(SPEND, 2, 22.35)
    )


@pytest.mark.parametrize(("x", "mean"), [(1, 0.01), (3, 35.0), (26, 400.0), (10_000, 12.0)])
@pytest.mark.parametrize("model", [SPEND, SpendModel(p=200.0, q=1.001, gamma=1e-3)], ids=["published", "extreme"])
def test_the_spend_likelihood_is_that_of_the_note(model: SpendModel, x: int, mean: float) -> None:
    with mpmath.workdps(50):
        p, q, g, z = (mpmath.mpf(v) for v in (model.p, model.q, model.gamma, mean))
        exact = (
            mpmath.loggamma(p * x + q) - mpmath.loggamma(p * x) - mpmath.loggamma(q) + q * mpmath.log(g)
            + (p * x - 1) * mpmath.log(z) + p * x * mpmath.log(x) - (p * x + q) * mpmath.log(g + x * z)
        )  # fmt: skip
    assert spending.log_likelihood(model, x, mean) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize(("x", "mean"), [(-1, 3.0), (1, -3.0), (1, nan), (1, inf)])
def test_an_impossible_mean_is_refused(x: int, mean: float) -> None:
    with pytest.raises(Refused):
        expected_spend(SPEND, x, mean)


def test_ten_thousand_purchases_in_twenty_years_neither_overflow_nor_vanish() -> None:
    history = PurchaseHistory(x=7_000, t_x=1_043.0, T=1_043.0)
    assert expected_purchases(BG, history, 52) == pytest.approx(7_000 / 1_043 * 52, rel=0.03)
    assert log_likelihood(BG, history) > log(sys.float_info.max)  # a density: as a plain number it would overflow
