"""The SQL functions say what the core says, over everything that can be asked, and fast enough for every customer."""

import time
from collections.abc import Iterator, Sequence
from itertools import product
from math import isclose
from typing import NamedTuple

import pytest

from pipeline.core.forecast.purchasing import (
    Leaving,
    PurchaseHistory,
    PurchaseModel,
    chance_to_buy,
    expected_purchases,
    p_alive,
)
from pipeline.core.forecast.spending import SpendModel, expected_spend, expected_value
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.migrations import shipped
from tests.storing import migrated

CLOSE = 1e-9
PARAMETERS = {
    "CDNOW, BG/NBD": (0.243, 4.414, 0.793, 2.426),
    "CDNOW, MBG/NBD": (0.525, 6.183, 0.891, 1.614),
    "a = 1": (0.5, 8.0, 1.0, 2.5),
    "a just below 1": (0.5, 8.0, 1 - 1e-9, 2.5),
    "a just above 1": (0.5, 8.0, 1 + 1e-9, 2.5),
    "a + b = 1": (0.3, 2.0, 0.4, 0.6),
    "hardly anybody leaves": (0.8, 10.0, 0.004, 5.0),
    "nearly everybody leaves": (0.8, 10.0, 40.0, 0.02),
    "all customers are alike": (150.0, 900.0, 60.0, 700.0),
    "no two customers are alike": (0.01, 0.05, 0.03, 0.04),
    "very frequent purchases": (3.0, 0.02, 0.6, 1.2),
    "very rare purchases": (0.05, 300.0, 2.5, 9.0),
}
OCCASIONS = (0, 1, 2, 7, 40, 200)
AGES = (0.0, 1 / 7, 3.0, 38.86, 521.4)
HORIZONS = (0.0, 1 / 7, 13.0, 52.14, 260.7)


class Case(NamedTuple):
    r: float
    alpha: float
    a: float
    b: float
    x: int
    t_x: float
    T: float
    t: float

    def model(self, leaving: Leaving) -> PurchaseModel:
        return PurchaseModel(leaving=leaving, r=self.r, alpha=self.alpha, a=self.a, b=self.b)

    @property
    def history(self) -> PurchaseHistory:
        return PurchaseHistory(x=self.x, t_x=self.t_x, T=self.T)


def cases() -> Iterator[Case]:
    for parameters, x, age, t in product(PARAMETERS.values(), OCCASIONS, AGES, HORIZONS):
        if x == 0:
            yield Case(*parameters, 0, 0.0, age, t)
        elif age:
            yield from (Case(*parameters, x, share * age, age, t) for share in (0.02, 0.783, 1.0))


CASES = list(cases())
SPEND = SpendModel(p=6.25, q=3.74, gamma=15.44)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with migrated(tmp_path_factory.mktemp("functions")) as (_, connected):
        yield connected


@pytest.fixture(scope="module")
def grid(warehouse: Warehouse) -> Warehouse:
    warehouse.command(
        "CREATE TABLE grid (n UInt32, r Float64, alpha Float64, a Float64, b Float64, x UInt32, t_x Float64, "
        "T Float64, t Float64) ENGINE = MergeTree ORDER BY n"
    )
    columns = {"n": "UInt32"} | {name: "UInt32" if name == "x" else "Float64" for name in Case._fields}
    warehouse.insert("grid", columns, [(n, *case) for n, case in enumerate(CASES)], "grid")
    return warehouse


def asked(grid: Warehouse, function: str) -> Sequence[float]:
    """A function's values for all cases, with every digit."""
    rows = grid.query(f"SELECT toString({function}) FROM grid ORDER BY n").rows
    return [float(row[0]) for row in rows]


def furthest(found: Sequence[float], right: Sequence[float]) -> tuple[float, Case]:
    """The largest relative error, and where it is; what is below 1e-290 only has to be as small."""
    off = [
        0.0 if isclose(f, r, rel_tol=0, abs_tol=1e-290) else abs(f - r) / abs(r) if r else 1.0
        for f, r in zip(found, right, strict=True)
    ]
    worst = max(range(len(off)), key=off.__getitem__)
    return off[worst], CASES[worst]


@pytest.mark.parametrize("leaving", Leaving)
def test_the_chance_to_be_alive_is_that_of_the_core(grid: Warehouse, leaving: Leaving) -> None:
    found = asked(grid, f"loyalty_p_alive_{leaving}(r, alpha, a, b, x, t_x, T)")
    error, case = furthest(found, [p_alive(case.model(leaving), case.history) for case in CASES])
    assert error <= CLOSE, case


@pytest.mark.parametrize("leaving", Leaving)
def test_the_chance_to_buy_is_that_of_the_core(grid: Warehouse, leaving: Leaving) -> None:
    found = asked(grid, f"loyalty_chance_to_buy_{leaving}(r, alpha, a, b, x, t_x, T, t)")
    error, case = furthest(found, [chance_to_buy(case.model(leaving), case.history, case.t) for case in CASES])
    assert error <= CLOSE, case


@pytest.mark.parametrize("leaving", Leaving)
def test_expected_purchases_and_value_are_those_of_the_core(grid: Warehouse, leaving: Leaving) -> None:
    right = [expected_purchases(case.model(leaving), case.history, case.t) for case in CASES]
    found = asked(grid, f"loyalty_expected_purchases_{leaving}(r, alpha, a, b, x, t_x, T, t)")
    error, case = furthest(found, right)
    assert error <= CLOSE, case
    value = asked(grid, f"loyalty_expected_value_{leaving}(r, alpha, a, b, 6.25, 3.74, 15.44, x, t_x, T, x, 29.5, t)")
    error, case = furthest(value, [e * expected_spend(SPEND, c.x, 29.5) for e, c in zip(right, CASES, strict=True)])
    assert error <= CLOSE, case


def test_the_published_customer(warehouse: Warehouse) -> None:
    """Fader, Hardie & Lee 2005: x 2, t_x 30.43, T 38.86, so P(alive) 0.7266 and 1.226 purchases in 39 weeks."""
    alive, bought, value = warehouse.query(
        "WITH 0.243 AS r, 4.414 AS alpha, 0.793 AS a, 2.426 AS b SELECT "
        "loyalty_p_alive_bg_nbd(r, alpha, a, b, 2, 30.43, 38.86), "
        "loyalty_expected_purchases_bg_nbd(r, alpha, a, b, 2, 30.43, 38.86, 39), "
        "loyalty_expected_value_bg_nbd(r, alpha, a, b, 6.25, 3.74, 15.44, 2, 30.43, 38.86, 2, 30, 39)"
    ).rows[0]
    assert (round(alive, 4), round(bought, 3)) == (0.7266, 1.226)
    model = PurchaseModel(leaving=Leaving.AFTER_REPEAT_PURCHASES, r=0.243, alpha=4.414, a=0.793, b=2.426)
    right = expected_value(model, SPEND, PurchaseHistory(x=2, t_x=30.43, T=38.86), 2, 30.0, 39.0)
    assert isclose(value, right, rel_tol=CLOSE)


SENSELESS = {
    "the last purchase after now": "loyalty_p_alive_bg_nbd(0.2, 4, 0.8, 2, 2, 30, 20)",
    "a repeat purchase at no time": "loyalty_p_alive_bg_nbd(0.2, 4, 0.8, 2, 2, 0, 20)",
    "time without a repeat purchase": "loyalty_p_alive_mbg_nbd(0.2, 4, 0.8, 2, 0, 3, 20)",
    "a negative horizon": "loyalty_expected_purchases_bg_nbd(0.2, 4, 0.8, 2, 2, 10, 20, -1)",
    "a parameter of zero": "loyalty_expected_purchases_mbg_nbd(0, 4, 0.8, 2, 2, 10, 20, 5)",
    "a parameter beyond all sense": "loyalty_chance_to_buy_bg_nbd(0.2, 1e9, 0.8, 2, 2, 10, 20, 5)",
    "q at 1": "loyalty_expected_basket(6.25, 1, 15.44, 2, 30)",
    "a negative basket": "loyalty_expected_basket(6.25, 3.74, 15.44, 2, -30)",
}


@pytest.mark.parametrize("expression", SENSELESS.values(), ids=SENSELESS)
def test_what_the_core_refuses_is_not_a_number(warehouse: Warehouse, expression: str) -> None:
    assert warehouse.value(f"SELECT isNaN({expression})") == 1


def test_what_is_not_known_stays_unknown(warehouse: Warehouse) -> None:
    asked = "loyalty_expected_purchases_bg_nbd(0.2, 4, 0.8, 2, x, 3, 4, 5)"
    rows = warehouse.query(f"SELECT isNull({asked}) FROM (SELECT arrayJoin([2, NULL]) AS x)").rows
    assert [row[0] for row in rows] == [0, 1]


def test_columns_may_have_the_names_that_the_functions_use_inside(warehouse: Warehouse) -> None:
    names = "SELECT 0.2 AS a_, 4. AS b_, 0.8 AS k_, 2. AS w_, 2 AS n_, 3. AS p_, 4. AS left_, 5. AS step_"
    found = warehouse.value(
        f"SELECT loyalty_expected_purchases_bg_nbd(a_, b_, k_, w_, n_, p_, left_, step_) FROM ({names})"
    )
    assert found == warehouse.value("SELECT loyalty_expected_purchases_bg_nbd(0.2, 4, 0.8, 2, 2, 3, 4, 5)")


def test_creating_the_functions_again_changes_nothing(warehouse: Warehouse) -> None:
    for statement in next(m for m in shipped() if m.name == "0009_parameters.sql").statements():
        if statement.startswith("CREATE OR REPLACE FUNCTION"):
            warehouse.command(statement)
    assert round(warehouse.value("SELECT loyalty_purchases_while_alive(0.793, 4.426, 2.243, 0.9)"), 6) == 1.685435


MILLION = 1_000_000


@pytest.mark.parametrize("customers", [MILLION // 10, pytest.param(MILLION, marks=pytest.mark.soak)])
def test_ten_times_as_many_customers_take_about_ten_times_as_long_in_the_same_memory(
    warehouse: Warehouse, customers: int
) -> None:
    few = min(_timed(warehouse, customers // 10) for _ in range(2))
    assert _timed(warehouse, customers) < 40 * few


def _timed(warehouse: Warehouse, customers: int) -> float:
    started = time.monotonic()
    found = warehouse.value(
        "SELECT avg(loyalty_expected_purchases_bg_nbd(0.243, 4.414, 0.793, 2.426, number % 30, "
        "if(number % 30 = 0, 0, 20 + number % 31), 51 + number % 29, 52)) FROM numbers_mt({n:UInt64}) "
        "SETTINGS max_memory_usage = 1000000000",
        {"n": customers},
    )
    assert 0 < found < 30
    return time.monotonic() - started
