"""The records of the log that should have a row in the warehouse."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer

from pipeline import kafka
from pipeline.config import Settings
from pipeline.erasure.row_filter import Forgetting
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Reason
from pipeline.kafka.dead_letters import errors_of
from pipeline.records import Record
from pipeline.sink.rows import FOREIGN, RowPlace, by_topic
from pipeline.sink.rows import TABLES as ROWS
from pipeline.topics import (
    DEAD_LETTERS,
)
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.own_columns import columns

NEWEST_ONLY = {
    "customer_states": ("customer_id",),
    "dead_letters": ("source_topic", "source_partition", "source_offset"),
    "suppressions": ("customer_sha256", "_partition"),
}
"""Newer rows replace older ones of the same key there: only the last record of a partition is looked for."""


NEAR = 2_000
"""An offset up to this far ahead is reached by reading on, a farther one by a look-up."""


class LogRange(NamedTuple):
    """The offsets of a topic partition that are looked at: from ``low`` to before ``end``."""

    topic: str
    partition: int
    low: int
    end: int


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class AuditedLog:
    """Reads single records of the log."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._rows = by_topic()
        self._columns = {table: columns(warehouse, table) for table in ROWS}
        self._suppressions = Suppressions(settings).read()
        self.bases = self._suppressions.incarnations.bases()
        self._forgetting = Forgetting(self._columns, self._suppressions.digests)
        self._refused: set[tuple[str, int, int]] | None = None
        self._reader: Consumer = kafka.consumer(
            settings, "audit", settings.group("audit"), **{"enable.partition.eof": True}
        )

    def that_make_rows(self, range_: LogRange, offsets: Sequence[int], table: str) -> list[int]:
        """Those of the offsets whose record should have a row in a table, and was not refused by ClickHouse."""
        if not offsets:
            return []
        self._suppressions.read()  # whoever was erased meanwhile is on it
        wanted = set(offsets)
        place = RowPlace(range_.topic, range_.partition, self._settings.partitions)
        suspect = [
            record.offset
            for record in self._read(range_, offsets)
            if record.offset in wanted and self._makes_row(place, record, table)
        ]
        return [offset for offset in suspect if (range_.topic, range_.partition, offset) not in self._refusals()]

    def _makes_row(self, place: RowPlace, record: Record, table: str) -> bool:
        try:
            rows = self._rows[place.topic](place, record)
        except FOREIGN:
            return False
        kept = [(into, row) for into, made_row in rows if (row := self._forgetting.kept(into, made_row)) is not None]
        return any(into != table or not self._is_replaced(table, record.offset, row) for into, row in kept)

    def _is_replaced(self, table: str, offset: int, row: tuple[object, ...]) -> bool:
        """Whether a newer row took the place of one, in a table that keeps the newest only."""
        if table not in NEWEST_ONLY:
            return False
        values = dict(zip(self._columns[table], row, strict=True))
        key = {name: _text(values[name]) for name in NEWEST_ONLY[table]}
        same = " AND ".join(f"toString({name}) = {{{name}:String}}" for name in key)
        newer = f"SELECT 1 FROM {table} WHERE _offset > {{place:UInt64}} AND {same} LIMIT 1"  # noqa: S608 - our own names
        return bool(self._warehouse.query(newer, key | {"place": offset}).rows)

    def _read(self, range_: LogRange, offsets: Sequence[int]) -> Iterator[Record]:
        """The records at ascending offsets, and others that lie between them."""
        start = 0
        while start < len(offsets):
            last = start
            while last + 1 < len(offsets) and offsets[last + 1] - offsets[last] <= NEAR:
                last += 1
            yield from self._between(range_, offsets[start], offsets[last])
            start = last + 1

    def _between(self, range_: LogRange, first: int, last: int) -> Iterator[Record]:
        topic, base = self._settings.topic(range_.topic), self.bases.get(range_.topic, 0)
        for message in kafka.read_range(self._reader, topic, range_.partition, first - base, last + 1 - base):
            yield kafka.record_of(message, base)

    def _refusals(self) -> set[tuple[str, int, int]]:
        """Records that ClickHouse refused, by what the dead letters say; read once, and only if it matters."""
        if self._refused is None:
            self._refused = set()
            for (topic, partition), (low, end) in kafka.end_offsets(self._settings, [DEAD_LETTERS]).items():
                if low < end:
                    base = self.bases.get(topic, 0)
                    letters = self._between(LogRange(topic, partition, low, end), base + low, base + end - 1)
                    self._refused.update(place for letter in letters if (place := self._refusal(letter)) is not None)
        return self._refused

    def _refusal(self, letter: Record) -> tuple[str, int, int] | None:
        errors = errors_of(letter.headers)
        if errors.get("reason") != Reason.REJECTED_BY_WAREHOUSE.value:
            return None
        try:
            return self._settings.logical(errors["topic"]), int(errors["partition"]), int(errors["offset"])
        except (KeyError, ValueError):
            return None  # no letter of ours

    def close(self) -> None:
        """Close the readers."""
        self._reader.close()
        self._suppressions.close()
