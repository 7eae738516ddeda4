"""Tables that somebody changed: columns they added keep their defaults, and what cannot be written to is said so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.state.customer import Customer, encode_state
from pipeline.errors import Refused, Unreachable
from pipeline.records import Record
from pipeline.sink import start_checks
from pipeline.sink.rows import TABLES, RowPlace, by_topic
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.failures import QueryFailed, RowsRejected
from pipeline.warehouse.own_columns import COMPUTED, columns, own_columns
from tests.sink.purchases import insert, made
from tests.storing import migrated

pytestmark = pytest.mark.xdist_group("aggregates")
ADDED = {
    "plain": "String",
    "defaulted": "String DEFAULT concat('of ', customer_id)",
    "aliased": "String ALIAS customer_id",
    "passing": "String EPHEMERAL 'x'",
    "computed": "UInt64 MATERIALIZED length(customer_id)",
}
FORGETFUL = ("Log", "TinyLog", "StripeLog", "Memory", "Set", "Buffer('{database}', 'kept', 1, 1, 1, 1, 1, 1, 1)")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """A database of the test's own, up to date."""
    with migrated(tmp_path) as (_, made_):
        yield made_


def test_our_columns_are_those_that_migrations_make_and_nothing_else(warehouse: Warehouse) -> None:
    for table in TABLES:
        found = warehouse.query(
            "SELECT name, default_kind FROM system.columns WHERE database = {d:String} AND table = {t:String} "
            "ORDER BY position",
            {"d": warehouse.database, "t": table},
        ).rows
        assert own_columns()[table] == {name for name, _ in found}
        assert list(columns(warehouse, table)) == [name for name, kind in found if kind not in COMPUTED]


@pytest.mark.parametrize(
    "where", ["FIRST", *(pytest.param(place, marks=pytest.mark.extended) for place in ("AFTER event_id", ""))]
)
def test_a_column_that_somebody_added_keeps_its_default(warehouse: Warehouse, where: str) -> None:
    before = columns(warehouse, "raw_purchases")
    for name, kind in ADDED.items():
        warehouse.command(f"ALTER TABLE raw_purchases ADD COLUMN {name} {kind} {where}")
    assert columns(warehouse, "raw_purchases") == before
    bought = made(20, seed=1)
    insert(warehouse, bought)
    rows = warehouse.query("SELECT customer_id, plain, defaulted, aliased, computed FROM raw_purchases").rows
    assert len(rows) == 20
    for customer, plain, defaulted, aliased, computed in rows:
        assert (plain, defaulted, aliased, int(computed)) == ("", f"of {customer}", customer, len(customer))


def test_a_state_is_written_and_kept_in_its_history_when_its_table_has_more_columns(warehouse: Warehouse) -> None:
    for name, kind in ADDED.items():
        warehouse.command(f"ALTER TABLE customer_states ADD COLUMN {name} {kind} FIRST")
    state = encode_state(Customer(customer_id="42", applied={"purchases": 7}, purchases=1, events=1))
    rows = by_topic()["customer-states"](RowPlace("customer-states", 0, 4), Record(0, 1, b"42", state, ()))
    warehouse.insert("customer_states", columns(warehouse, "customer_states"), [row for _, row in rows], "t")
    assert warehouse.value("SELECT count() FROM customer_states WHERE customer_id = '42' AND purchases = 1") == 1
    assert warehouse.value("SELECT count() FROM customer_state_history WHERE customer_id = '42'") == 1


def test_a_table_that_lacks_one_of_our_columns_is_refused_by_its_name(warehouse: Warehouse) -> None:
    warehouse.command("ALTER TABLE raw_alert_outcomes DROP COLUMN note")
    with pytest.raises(Refused, match="raw_alert_outcomes lacks note"):
        columns(warehouse, "raw_alert_outcomes")


def test_what_no_waiting_helps_does_not_say_that_clickhouse_is_away(warehouse: Warehouse) -> None:
    fitting = columns(warehouse, "raw_alert_outcomes")
    with pytest.raises((QueryFailed, RowsRejected)) as failed:
        warehouse.insert("raw_alert_outcomes", fitting, [["too", "short"]], "t")
    assert not isinstance(failed.value, Unreachable)
    with pytest.raises(QueryFailed):
        warehouse.insert("raw_alert_outcomes", {"no_such_column": "String"}, [["x"]], "t")


@pytest.mark.parametrize(
    "engine", [FORGETFUL[0], *(pytest.param(engine, marks=pytest.mark.extended) for engine in FORGETFUL[1:])]
)
def test_a_view_into_a_table_that_cannot_remember_is_refused(warehouse: Warehouse, engine: str) -> None:
    start_checks.windows(warehouse)
    warehouse.command("CREATE TABLE kept (customer_id String) ENGINE = MergeTree ORDER BY customer_id")
    said = engine.format(database=warehouse.database)
    warehouse.command(f"CREATE TABLE seen (customer_id String) ENGINE = {said}")
    warehouse.command("CREATE MATERIALIZED VIEW seen_fed TO seen AS SELECT customer_id FROM raw_purchases")
    with pytest.raises(Refused, match=rf"\.seen, whose engine {engine.split('(', maxsplit=1)[0]} cannot remember"):
        start_checks.windows(warehouse)


def test_a_table_that_keeps_nothing_is_looked_behind(warehouse: Warehouse) -> None:
    warehouse.command("CREATE TABLE through (customer_id String) ENGINE = Null")
    warehouse.command("CREATE MATERIALIZED VIEW through_fed TO through AS SELECT customer_id FROM raw_purchases")
    start_checks.windows(warehouse)
    warehouse.command("CREATE TABLE behind (customer_id String) ENGINE = Memory")
    warehouse.command("CREATE MATERIALIZED VIEW behind_fed TO behind AS SELECT customer_id FROM through")
    with pytest.raises(Refused, match=r"\.behind, whose engine Memory"):
        start_checks.windows(warehouse)
