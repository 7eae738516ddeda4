"""Batches into tables: one block per table, repeated until it is certain that it was written.

An insert that fails leaves one of three things to do. When ClickHouse is away, wait. When nobody knows what happened,
repeat it, because it may have been written, and let somebody know; after :data:`MOST_UNEXPLAINED` attempts give it
back, for others must not wait for it. When ClickHouse refuses the rows themselves, give the batch back too: it is
written again in halves, until the row is alone.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import structlog

from pipeline import metrics, retries
from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.row_filter import Forgetting
from pipeline.errors import Transient
from pipeline.kafka.membership import PartitionsRevoked
from pipeline.records import Record
from pipeline.retries import retry
from pipeline.sink.batches import Batch
from pipeline.sink.rows import FOREIGN, TABLES, EventRows, Row, RowPlace, RowsOf, by_topic
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.encoding import Encoded, Encoder
from pipeline.warehouse.failures import QueryFailed, RowsRejected
from pipeline.warehouse.own_columns import columns

PATIENCE_SECONDS = 5.0
"""How long an insert may take before it is told that consumption waits for it."""
MOST_UNEXPLAINED = 3
"""After so many failures that waiting may not help with, a batch waits by itself."""
PIECE = 1_000
"""So many records are made into rows before those are encoded: few enough to lie in the processor's cache."""


class Rejection(NamedTuple):
    """A batch that a table refuses, why, and the tables that hold its rows already."""

    batch: Batch
    detail: str
    done: frozenset[str]
    whole: bool = False
    """Its rows may be good, and may be in the table: it must be written again as it is."""


class _Stuck(Exception):
    """An insert fails again and again, and nobody knows why."""


class Writer:
    """Writes batches side by side, one lane per connection."""

    def __init__(
        self,
        settings: Settings,
        facts: metrics.SinkMetrics,
        warehouses: Sequence[Warehouse],
        crash: CrashPoints,
        suppressed: Collection[bytes],
    ) -> None:
        self._partitions = settings.partitions
        self._facts = facts
        self._warehouses = warehouses
        self._crash = crash
        self._columns = {table: columns(warehouses[0], table) for table in TABLES}
        self._makers = by_topic()
        self._forgetting = Forgetting(self._columns, suppressed)
        self._pool = ThreadPoolExecutor(len(warehouses), "insert")
        self._log = structlog.get_logger()

    def write(
        self, batches: Sequence[Batch], is_lost: Callable[[], bool], meanwhile: Callable[[], None]
    ) -> list[Rejection]:
        """Write all of them; returns those that ClickHouse refuses. ``meanwhile`` is called every second.

        Raises
        ------
        Lost
            The partitions are not ours any more.
        """
        lanes = [batches[i :: len(self._warehouses)] for i in range(len(self._warehouses))]
        pending = [
            self._pool.submit(self._lane, lane, warehouse, is_lost)
            for lane, warehouse in zip(lanes, self._warehouses, strict=True)
        ]
        begun = time.monotonic()
        while wait(pending, timeout=1.0).not_done:
            if (seconds := time.monotonic() - begun) > PATIENCE_SECONDS:
                self._facts.waiting(paused=True)
                self._log.warning("ClickHouse does not answer an insert; waiting", seconds=round(seconds))
            meanwhile()
        self._facts.waiting(paused=False)
        return [rejection for future in pending for rejection in future.result()]

    def close(self) -> None:
        """Wait for what is being written."""
        self._pool.shutdown()

    def _lane(self, batches: Sequence[Batch], warehouse: Warehouse, is_lost: Callable[[], bool]) -> list[Rejection]:
        written = (self._write(batch, warehouse, is_lost) for batch in batches)
        return [rejection for rejection in written if rejection is not None]

    def _write(self, batch: Batch, warehouse: Warehouse, is_lost: Callable[[], bool]) -> Rejection | None:
        written = batch.done
        try:
            for block in self._blocks_of(batch, self._makers[batch.topic], warehouse):
                started = time.perf_counter()
                self._until_written(batch, block, warehouse, is_lost)
                self._facts.rows_inserted(block.table, block.rows, time.perf_counter() - started)
                self._crash.reached(Point.SINK_MID_INSERT)
                written |= {block.table}
        except RowsRejected as refused:
            return Rejection(batch, str(refused), written)
        except _Stuck as stuck:
            return Rejection(batch, str(stuck), written, whole=True)
        return None

    def _blocks_of(self, batch: Batch, rows_of: RowsOf, warehouse: Warehouse) -> list[Encoded]:
        """The blocks of a batch that are not in their tables yet."""
        place = RowPlace(batch.topic, batch.partition, self._partitions)
        encoders: dict[str, Encoder] = {}
        for first in range(0, len(batch.records), PIECE):
            for table, rows in self._rows_of(place, batch.records[first : first + PIECE], rows_of).items():
                if rows and table not in batch.done:
                    if table not in encoders:
                        encoders[table] = warehouse.encoder(table, self._columns[table])
                    encoders[table].add(rows)
        return [encoder.block() for encoder in encoders.values()]

    def _rows_of(self, place: RowPlace, records: Sequence[Record], rows_of: RowsOf) -> dict[str, list[Row]]:
        """Rows by table, without those of erased customers."""
        rows: dict[str, list[Row]] = {}
        for table, all_rows in self._made(place, records, rows_of).items():
            rows[table] = self._forgetting.kept_of(table, all_rows)
            self._facts.rows_suppressed(table, len(all_rows) - len(rows[table]))
        return rows

    def _made(self, place: RowPlace, records: Sequence[Record], rows_of: RowsOf) -> dict[str, list[Row]]:
        if isinstance(rows_of, EventRows):
            with contextlib.suppress(*FOREIGN):  # then one by one, to say which
                return {rows_of.table: rows_of.all_of(place, records)}
        rows: dict[str, list[Row]] = {}
        for record in records:
            try:
                of_record = rows_of(place, record)
            except FOREIGN as foreign:
                self._facts.record_unreadable(place.topic)
                self._log.error(
                    "a record in a topic of ours is not ours; it makes no row",
                    topic=place.topic,
                    partition=place.partition,
                    offset=record.offset,
                    error=type(foreign).__name__,
                )
                continue
            for table, row in of_record:
                rows.setdefault(table, []).append(row)
        return rows

    def _until_written(self, batch: Batch, block: Encoded, warehouse: Warehouse, is_lost: Callable[[], bool]) -> None:
        """Insert until it worked: an insert whose fate is unknown must be repeated, and its token makes that safe."""
        unexplained = 0

        def attempt() -> None:
            nonlocal unexplained
            try:
                self._insert(batch, block, warehouse)
            except (Transient, QueryFailed) as failed:
                self._failed(failed)
                if is_lost():
                    raise PartitionsRevoked from None
                unexplained += isinstance(failed, QueryFailed)
                if unexplained == MOST_UNEXPLAINED:
                    raise _Stuck(str(failed)) from None
                raise

        retry(retries.INSERT, (Transient, QueryFailed), attempt)

    def _failed(self, failed: Transient | QueryFailed) -> None:
        self._facts.waiting(paused=True)
        self._facts.insert_retried()
        if isinstance(failed, Transient):
            self._log.warning("ClickHouse does not take the batch; waiting", error=str(failed))
        else:
            self._facts.insert_unexplained()
            self._log.error("ClickHouse refuses a batch, and waiting may not help; trying again", error=str(failed))

    def _insert(self, batch: Batch, block: Encoded, warehouse: Warehouse) -> None:
        """One attempt.

        Rows that are refused although the table holds some of them were refused further on, by a materialized view,
        or were written by an attempt whose answer was lost. Smaller ranges would write them twice.
        """
        try:
            warehouse.insert_encoded(block, batch.token(block.table))
        except RowsRejected as refused:
            if _holds(warehouse, block.table, batch):
                raise QueryFailed(f"{refused}, after the table took them: look at its materialized views") from None
            raise


def _holds(warehouse: Warehouse, table: str, batch: Batch) -> bool:
    """Whether a table has a row of a batch."""
    return bool(
        warehouse.query(
            "SELECT 1 FROM {table:Identifier} WHERE _topic = {topic:String} AND _partition = {partition:UInt16} "
            "AND _offset BETWEEN {first:UInt64} AND {last:UInt64} LIMIT 1",
            {
                "table": table,
                "topic": batch.topic,
                "partition": batch.partition,
                "first": batch.first,
                "last": batch.last,
            },
        ).rows
    )
