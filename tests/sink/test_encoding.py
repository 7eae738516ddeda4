"""A block that is made of pieces is one insert: the same rows, all of them or none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.encoding import Encoded
from pipeline.warehouse.failures import RowsRejected
from tests.warehouses import database

COLUMNS = {
    "name": "String",
    "kind": "LowCardinality(String)",
    "at": "DateTime64(3, 'UTC')",
    "amount": "Decimal(18, 4)",
    "tags": "Array(LowCardinality(String))",
    "until": "Nullable(DateTime64(3, 'UTC'))",
}
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """An empty database."""
    with database(tmp_path_factory.mktemp("encoding")) as settings:
        yield connect(settings)


@pytest.fixture
def table(warehouse: Warehouse) -> Iterator[str]:
    fields = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    warehouse.command(f"CREATE TABLE pieces ({fields}) ENGINE = MergeTree ORDER BY name")
    yield "pieces"
    warehouse.command("DROP TABLE pieces")


def row(number: int) -> tuple[Any, ...]:
    at = START + timedelta(milliseconds=number)
    tags = [f"t{n}" for n in range(number % 3)]
    return f"n{number:05}", f"k{number % 5}", at, Decimal(number) / 100, tags, at if number % 2 else None


def held(warehouse: Warehouse) -> list[list[Any]]:
    return [list(found) for found in warehouse.query("SELECT * FROM pieces ORDER BY name").rows]


def test_pieces_are_written_as_the_rows_are_that_come_at_once(warehouse: Warehouse, table: str) -> None:
    rows = [row(number) for number in range(2_500)]
    warehouse.insert(table, COLUMNS, rows, "at once")
    at_once = held(warehouse)
    warehouse.command(f"TRUNCATE TABLE {table}")
    encoder = warehouse.encoder(table, COLUMNS)
    for first, last in ((0, 1), (1, 1_200), (1_200, 2_500)):
        encoder.add(rows[first:last])
    block = encoder.block()
    assert (block.table, block.rows) == (table, 2_500)
    warehouse.insert_encoded(block, "piece by piece")
    assert held(warehouse) == at_once
    assert len(at_once) == 2_500
    assert warehouse.value(f"SELECT count() FROM system.parts WHERE active AND table = '{table}'") == 1


def test_a_moment_may_come_as_the_milliseconds_it_becomes(warehouse: Warehouse, table: str) -> None:
    name, kind, at, *rest = row(1)
    milliseconds = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    warehouse.insert(table, COLUMNS, [(name, kind, at, *rest)], "moment")
    warehouse.insert(table, COLUMNS, [(name, kind, milliseconds, *rest)], "number")
    one, other = held(warehouse)
    assert one == other


@pytest.mark.parametrize("spoilt", [0, 1])
def test_a_value_that_does_not_fit_is_refused_in_whatever_piece_it_is(
    warehouse: Warehouse, table: str, spoilt: int
) -> None:
    pieces = [[row(1), row(2)], [row(3), row(4)]]
    pieces[spoilt][1] = (*row(9)[:3], "many", *row(9)[4:])
    encoder = warehouse.encoder(table, COLUMNS)
    for good in pieces[:spoilt]:
        encoder.add(good)
    with pytest.raises(RowsRejected, match="pieces") as refused:
        encoder.add(pieces[spoilt])
    assert "many" not in str(refused.value)
    assert held(warehouse) == []


def test_nothing_is_sent_for_no_rows() -> None:
    """A server refuses the empty statement that would be sent."""
    nobody: Any = object()
    Warehouse(nobody, Settings()).insert_encoded(Encoded("pieces", 0, b""), "nothing")
