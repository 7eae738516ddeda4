"""Writing batches side by side."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from pipeline import metrics
from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints
from pipeline.flow import Record
from pipeline.sink import writing
from pipeline.sink.batches import Batch
from pipeline.sink.rows import Place, Row
from pipeline.sink.warehouse import Encoded, Result
from pipeline.sink.writing import Writer


class Taking:
    """A warehouse that takes everything."""

    database = "loyalty"

    def __init__(self) -> None:
        self.inserted: list[tuple[str, int]] = []

    def query(self, _sql: str, _parameters: Any = None) -> Result:
        return Result((), (), (("event_id", "String"),))

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


class OneAtATime:
    """Makes rows, and fails when two threads are inside at once."""

    def __init__(self) -> None:
        self.inside = False

    def __call__(self, _place: Place, record: Record) -> list[tuple[str, Row]]:
        assert not self.inside, "two lanes make rows with the same maker"
        self.inside = True
        time.sleep(0.002)
        self.inside = False
        return [("raw_purchases", (record.offset,))]


def batch(partition: int) -> Batch:
    records = [Record(offset, 0, b"k", b"v", ()) for offset in range(20)]
    return Batch("purchases", partition, 0, 19, records)


def test_lanes_share_nothing_that_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "by_topic", lambda _belongs: {"purchases": OneAtATime()})
    warehouses: list[Any] = [Taking(), Taking()]
    facts = metrics.SinkMetrics(metrics.registry("sink"))
    writer = Writer(Settings(), facts, warehouses, CrashPoints(), frozenset())
    assert writer.write([batch(0), batch(1)], lambda: False, lambda: None) == []
    assert [warehouse.inserted for warehouse in warehouses] == [[("raw_purchases", 20)]] * 2
    writer.close()
