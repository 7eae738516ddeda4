"""A whole population at once gives what one customer at a time gives."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.forecast import purchasing, spending
from pipeline.core.forecast.purchasing import Leaving, PurchaseHistory, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.fitting import vectors
from pipeline.fitting.history import Floats

TOLERANCE = 1e-12
BG = PurchaseModel(leaving=Leaving.AFTER_REPEAT_PURCHASES, r=0.243, alpha=4.414, a=0.793, b=2.426)
MODELS = [
    replace(BG, leaving=leaving, **changed)
    for leaving in Leaving
    for changed in ({}, {"a": 1.0}, {"r": 300.0, "alpha": 2e3}, {"a": 1e-3, "b": 1e-3}, {"a": 5e3, "b": 2e5})
]


def population() -> list[PurchaseHistory]:
    chance = random.Random(11)
    found = [PurchaseHistory(x=0, t_x=0.0, T=0.0), PurchaseHistory(x=10_000, t_x=1_500.0, T=1_500.0)]
    for _ in range(200):
        days = chance.randint(1, 7_300)
        last = chance.randint(1, days)
        x = min(last, int(10 ** chance.uniform(-1, 4)))
        found.append(PurchaseHistory(x=x, t_x=last / 7 if x else 0.0, T=days / 7))
    return found


PEOPLE = population()
X, T_X, T = (np.array([float(getattr(h, name)) for h in PEOPLE]) for name in ("x", "t_x", "T"))


def same(found: Floats, one: Callable[[PurchaseHistory], float]) -> None:
    wanted = [one(history) for history in PEOPLE]
    assert found.tolist() == pytest.approx(wanted, rel=TOLERANCE, abs=1e-300)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_population_gives_what_each_of_its_customers_gives(model: PurchaseModel) -> None:
    same(vectors.p_alive(model, X, T_X, T), lambda h: purchasing.p_alive(model, h))
    same(vectors.chance_to_buy(model, X, T_X, T, 26), lambda h: purchasing.chance_to_buy(model, h, 26))
    same(vectors.expected_purchases(model, X, T_X, T, 26), lambda h: purchasing.expected_purchases(model, h, 26))


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_likelihoods_agree_as_far_as_their_largest_term_has_digits(model: PurchaseModel) -> None:
    """A likelihood is a small difference of terms as large as ``x ln x``; 1e-12 of those is all there is."""
    found = vectors.log_likelihood(model, X, T_X, T)
    for value, history in zip(found, PEOPLE, strict=True):
        largest = max(1.0, history.x * np.log(model.alpha + history.T), history.x * np.log(model.b + history.x + 1))
        assert value == pytest.approx(purchasing.log_likelihood(model, history), abs=TOLERANCE * largest)


def test_new_customers_are_the_same() -> None:
    weeks = np.array([0.0, 1 / 7, 3.0, 39.0, 1_043.0])
    wanted = [purchasing.expected_from_new(BG, float(t)) for t in weeks]
    assert vectors.expected_from_new(BG, weeks).tolist() == pytest.approx(wanted, rel=TOLERANCE)


def test_spend_is_the_same() -> None:
    model = SpendModel(p=6.25, q=3.74, gamma=15.44)
    paid, mean = np.array([1.0, 2, 30, 10_000]), np.array([0.01, 35.0, 900.0, 12.0])
    pairs = [(int(x), float(m)) for x, m in zip(paid, mean, strict=True)]
    likelihoods = vectors.spend_log_likelihood(model.p, model.q, model.gamma, paid, mean)
    assert likelihoods.tolist() == pytest.approx([spending.log_likelihood(model, *pair) for pair in pairs], rel=1e-11)
    spends = vectors.expected_spend(model, paid, mean)
    assert spends.tolist() == pytest.approx([spending.expected_spend(model, *pair) for pair in pairs], rel=TOLERANCE)
