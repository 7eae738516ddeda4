"""The loyalty state in SQL is that of the core, for thousands of customers at several moments, and in one version."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import count
from math import isclose
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.analysis.answer_moments import moment_of_answer
from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.events import Event
from pipeline.core.glossary import registry
from pipeline.core.loyalty.attachment import FORCED
from pipeline.core.loyalty.loyalty_policy import PRIORS, YEAR_DAYS, Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.state.customer import Customer, encode_state
from pipeline.records import Record
from pipeline.sink.rows import RowPlace, by_topic, state
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.own_columns import columns
from tests.core.histories import histories, replay
from tests.sink.lives import FIRST, day, edges, simulated, wild
from tests.storing import migrated

pytestmark = pytest.mark.xdist_group("warehouse")

WILD, SIMULATED = 2000, 300
MOMENTS = {
    "before anybody bought": FIRST - 1,
    "at the first purchase": FIRST,
    "36 days later": day(36.5),
    "2 usual gaps later": day(68),
    "4 usual gaps later": day(136),
    "just before a year": day(365) - 1,
    "a year later": day(365),
    "a moment later": day(365) + 1,
    "400 days later": day(400),
    "900 days later": day(900),
    "80 years later": day(80 * 365),
}
REFERRALS = [(f"w-{number % 40}", f"r-{number % 90}", day(4.5 * number)) for number in range(200)]
"""Who was named by whom, and when."""


class Filled(NamedTuple):
    """A warehouse, and whom it knows."""

    warehouse: Warehouse
    customers: Mapping[str, Customer]


_offsets = count()


def store(warehouse: Warehouse, customers: Sequence[Customer]) -> None:
    """Write states as the sink does."""
    rows = [
        row
        for customer in customers
        for _, row in state(
            RowPlace("customer-states", 0, 1),
            Record(next(_offsets), FIRST, customer.customer_id.encode(), encode_state(customer), []),
        )
    ]
    warehouse.insert("customer_states", columns(warehouse, "customer_states"), rows, f"states-{next(_offsets)}")


def _purchases(warehouse: Warehouse) -> None:
    """Purchases that name who recommended us: enough of them in euros to have a median, too few in dollars."""
    rows = []
    for number, (named, customer, at) in enumerate(REFERRALS):
        purchase = {
            "event_id": f"e-{number}", "customer_id": customer, "order_id": "o", "amount": f"{number + 1}.50",
            "occurred_at": (datetime.fromtimestamp(at / 1000, UTC)).isoformat(), "currency": "EUR" if number else "USD",
            "referred_by": named,
        }  # fmt: skip
        record = Record(number, at, customer.encode(), json.dumps(purchase).encode(), [])
        rows += [row for _, row in by_topic()["purchases"](RowPlace("purchases", 0, 1), record)]
    warehouse.insert("raw_purchases", columns(warehouse, "raw_purchases"), rows, "purchases")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A warehouse with thousands of customers."""
    customers = [*edges(), *map(wild, range(WILD)), *simulated(SIMULATED)]
    with migrated(tmp_path_factory.mktemp("loyalty")) as (_, warehouse):
        store(warehouse, customers)
        _purchases(warehouse)
        yield Filled(warehouse, {customer.customer_id: customer for customer in customers})


def norms(warehouse: Warehouse) -> Norms:
    """The program's figures, with the typical baskets of this warehouse."""
    rows = warehouse.query("SELECT currency, typical_basket FROM typical_baskets").rows
    return Norms(typical_baskets={str(currency): float(basket) for currency, basket in rows})


READ = """
    SELECT * REPLACE(
        toUnixTimestamp64Milli(loyalty_at) AS loyalty_at,
        toUnixTimestamp64Milli(released_at) AS released_at,
        toUnixTimestamp64Milli(next_notice_by) AS next_notice_by,
        mapApply((currency, amount) -> (currency, toString(amount)), net_spent) AS net_spent)
    FROM customer_loyalty_at(at = {at:String})
    WHERE startsWith(customer_id, {prefix:String})
"""
IDENTITY = {"customer_id", "loyalty_at", "definition_version"}
"""Columns that are no term of the loyalty state."""


def found(warehouse: Warehouse, at: int, prefix: str = "") -> dict[str, dict[str, Any]]:
    """What SQL says at a moment, by customer."""
    said = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    answer = warehouse.query(READ, {"at": said, "prefix": prefix})
    return {row[0]: dict(zip(answer.columns, row, strict=True)) for row in answer.rows}


def flat(known: Loyalty) -> dict[str, Any]:
    """The loyalty state of the core under the names of the columns."""
    named: dict[str, Any] = {"silence_in_gaps": known.rhythm.silence_in_gaps}
    for name in known.__struct_fields__:
        value = getattr(known, name)
        named |= msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else {name: value}
    named["bound_by"] = [binding.kind for binding in named.pop("bindings")]
    named["net_spent"] = {currency: str(to_amount(units)) for currency, units in known.net_spent.items()}
    return named


def named_by(customer_id: str, at: int) -> int:
    """How many others named a customer by a moment."""
    return len({other for named, other, said_at in REFERRALS if named == customer_id and said_at <= at})


def compare(row: Mapping[str, Any], known: Loyalty, what: str) -> None:
    """Every column: exact for counts, flags and words, to 1e-9 for other numbers."""
    expected = flat(known)
    assert row.keys() - IDENTITY == expected.keys()
    for name, value in expected.items():
        said = row[name]
        if name == "net_spent":
            said = {currency: str(to_amount(round(float(amount) * 10_000))) for currency, amount in said.items()}
        elif isinstance(value, float) and said is not None:
            assert isclose(said, value, rel_tol=1e-9, abs_tol=1e-12), (what, name, said, value)
            continue
        elif isinstance(value, int) and not isinstance(value, bool) and said is not None:
            said = int(said)
        assert said == value, (what, name)
        assert not isinstance(value, bool) or isinstance(said, bool), (what, name)


@pytest.mark.parametrize("at", MOMENTS.values(), ids=MOMENTS)
def test_sql_says_what_the_core_says(filled: Filled, at: int) -> None:
    figures, rows = norms(filled.warehouse), found(filled.warehouse, at)
    bought = set()
    for name, customer in filled.customers.items():
        known = loyalty(customer, at, figures, named_by(name, at))
        if known is not None:
            bought.add(name)
            compare(rows[name], known, f"{name} at {at}")
    assert rows.keys() == bought
    assert bool(bought) == (at >= FIRST)


def test_the_customers_reach_every_answer(filled: Filled) -> None:
    """Otherwise the comparison would say little."""
    rows = [row for at in (day(36.5), day(365), day(400)) for row in found(filled.warehouse, at).values()]
    for name in rows[0].keys() - IDENTITY - {"norms_version"}:
        assert len({json.dumps(row[name]) for row in rows}) > 1, name
    assert {row["lifecycle"] for row in rows} == {"new", "active", "at rest", "lapsed"}
    assert len({row["quadrant"] for row in rows}) == 5
    assert {kind for row in rows for kind in row["bound_by"]} == {*FORCED, "emotional"}
    risks = {risk for row in rows for risk in row["satisfied_but_at_risk"]}
    assert risks == {"at rest", "lapsed", "would not recommend us", "would not buy again", "captive"}


_examples = count()


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(st.lists(histories, min_size=20, max_size=40), st.lists(st.integers(-1, 900), min_size=3, max_size=3))
def test_sql_says_what_the_core_says_of_any_events(filled: Filled, lives: list[list[Event]], days: list[int]) -> None:
    prefix = f"h-{next(_examples)}-"
    customers = [
        msgspec.structs.replace(replay(events)[0], customer_id=f"{prefix}{number}")
        for number, events in enumerate(lives)
    ]
    store(filled.warehouse, customers)
    figures = norms(filled.warehouse)
    for number in days:
        rows = found(filled.warehouse, day(number), prefix)
        known = {customer.customer_id: loyalty(customer, day(number), figures) for customer in customers}
        assert rows.keys() == {name for name, state in known.items() if state is not None}
        for name, row in rows.items():
            compare(row, known[name], name)  # type: ignore[arg-type]


def test_the_answer_moment_is_a_moment_like_any_other(filled: Filled) -> None:
    (row,) = filled.warehouse.query("SELECT count(), toString(any(loyalty_at)) FROM customer_loyalty").rows
    mine = moment_of_answer(filled.warehouse, None).at
    assert mine - datetime.fromisoformat(row[1]).replace(tzinfo=UTC) < timedelta(minutes=1)
    now, then = (
        filled.warehouse.query(
            f"SELECT * EXCEPT (loyalty_at) FROM {view} ORDER BY customer_id",
            {"at": row[1]},
        )
        for view in ("customer_loyalty", "customer_loyalty_at(at = {at:String})")
    )
    assert (now.columns, now.rows) == (then.columns, then.rows)
    assert len(now.rows) == int(row[0]) > WILD / 2


def test_a_typical_basket_is_the_median_where_enough_were_seen(filled: Filled) -> None:
    rows = filled.warehouse.query("SELECT currency, typical_basket, purchases FROM typical_baskets").rows
    found = {str(currency): float(basket) for currency, basket, _ in rows}
    assert {str(currency): int(purchases) for currency, _, purchases in rows} == {"EUR": len(REFERRALS) - 1, "USD": 0}
    assert found["EUR"] == pytest.approx(101.5, rel=1e-3)
    assert found["USD"] == PRIORS.typical_baskets["USD"]


def test_the_figures_are_those_of_the_program(filled: Filled) -> None:
    """Whoever changes a norm must say so to the warehouse: CREATE OR REPLACE VIEW norms, in a new migration."""
    answer = filled.warehouse.query("SELECT * FROM norms")
    said = dict(zip(answer.columns, answer.rows[0], strict=True))
    mine = {field.name: getattr(PRIORS, field.name) for field in fields(Norms)}
    mine = {"norms_version": mine.pop("version"), "year_days": YEAR_DAYS} | mine
    assert said == mine


def test_every_column_says_what_the_glossary_says(filled: Filled) -> None:
    """Whoever changes a meaning must say so to the warehouse, in a new migration and under a new version."""
    known = registry.definitions()
    described = {str(row[0]): str(row[4]) for row in filled.warehouse.query("DESCRIBE customer_loyalty").rows}
    assert described.keys() >= IDENTITY
    for name in described.keys() - IDENTITY:
        meant = known[name]
        unit = f"{meant.unit}; " if meant.unit else ""
        assert described[name] == f"{meant.meaning} ({unit}definition {meant.version})", name
    assert filled.warehouse.value("SELECT DISTINCT definition_version FROM customer_loyalty") == "loyalty-1"


def test_a_view_for_a_moment_has_the_columns_of_now(filled: Filled) -> None:
    now, then = (
        [tuple(row[:2]) for row in filled.warehouse.query(f"DESCRIBE {view}").rows]
        for view in ("customer_loyalty", "customer_loyalty_at(at = '2026-01-01')")
    )
    assert now == then
