"""Writing batches side by side."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline import metrics
from pipeline.config import Settings
from pipeline.core.contract.moments import milliseconds
from pipeline.core.state.customer import DAY_MS
from pipeline.crashpoints import CrashPoints
from pipeline.records import Record
from pipeline.sink.batches import Batch
from pipeline.sink.rows import Row
from pipeline.sink.writing import Writer
from pipeline.warehouse.client import Result
from pipeline.warehouse.encoding import Encoded
from pipeline.warehouse.own_columns import own_columns


class Taking:
    """A warehouse that takes everything."""

    database = "loyalty"

    def __init__(self) -> None:
        self.inserted: list[tuple[str, int]] = []

    def query(self, _sql: str, parameters: Any = None) -> Result:
        return Result((), (), [(name, "String", "") for name in own_columns()[parameters["t"]]])

    def encoder(self, table: str, _columns: Any) -> "Counting":
        return Counting(table)

    def insert_encoded(self, block: Encoded, _token: str) -> None:
        self.inserted.append((block.table, block.rows))


class Counting:
    """An encoder that encodes nothing."""

    def __init__(self, table: str) -> None:
        self._table, self._rows = table, 0

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += len(rows)

    def block(self) -> Encoded:
        return Encoded(self._table, self._rows, b"")


EVENT = orjson.dumps(
    {"event_id": "e", "customer_id": "c", "occurred_at": "2026-01-10T00:00:00Z", "order_id": "o", "amount": "1.00",
     "currency": "EUR"}
)  # fmt: skip
RECEIVED = milliseconds(datetime(2026, 1, 10, tzinfo=UTC))


def batch(appended_at_ms: int) -> Batch:
    records = [Record(offset, appended_at_ms, b"c", EVENT, ()) for offset in range(200)]
    return Batch("purchases", 0, 0, 199, records)


def test_lanes_judge_each_record_by_its_own_append_time() -> None:
    """To a broker that got it two days before it happened, the same event lies in the future."""
    warehouses: list[Any] = [Taking(), Taking()]
    facts = metrics.SinkMetrics(metrics.registry("sink"))
    writer = Writer(Settings(partitions=1), facts, warehouses, CrashPoints(), frozenset())
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        refused = writer.write([batch(RECEIVED), batch(RECEIVED - 2 * DAY_MS)] * 20, lambda: False, lambda: None)
    finally:
        sys.setswitchinterval(usual)
        writer.close()
    assert refused == []
    assert [warehouse.inserted for warehouse in warehouses] == [[("raw_purchases", 200)] * 20, []]
