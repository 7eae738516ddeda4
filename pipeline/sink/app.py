"""The sink: every topic into ClickHouse, batch by batch.

The order of steps is what the guarantee rests on:

1. collect consecutive records of a topic partition until there are enough, or time is up
2. record the intent: commit the batch's *first* offset, with its last offset as metadata
3. insert one block per table, under a token that names exactly this range
4. commit the offset after the last, which clears the intent

A crash before 3 re-reads the same range; a crash after 3 does too, and ClickHouse drops the repeated block by its
token. While ClickHouse is away the consumer is paused and polled, so the group stays whole and memory stays bounded.
"""

import random
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline import kafka, logs, metrics
from pipeline.config import Settings
from pipeline.errors import Transient
from pipeline.flow import Record
from pipeline.sink.batches import BatchPolicy, Buffer, intended_end, intent_of, token
from pipeline.sink.migrations import migrate
from pipeline.sink.rows import Place, Row, RowsOf, by_topic
from pipeline.sink.warehouse import Warehouse, connect
from pipeline.topics import TOPICS

Key = tuple[str, int]
WRITERS = 2
LOST = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)
"""Commit errors that mean: these partitions are somebody else's now."""

FATAL = frozenset({KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID})
"""Errors after which librdkafka cannot go on: another process took this one's place, or the client broke."""


class Batch(NamedTuple):
    """A range of one topic partition that is being written."""

    topic: str
    partition: int
    records: Sequence[Record]

    @property
    def first(self) -> int:
        """First offset."""
        return self.records[0].offset

    @property
    def last(self) -> int:
        """Last offset."""
        return self.records[-1].offset


class Lost(Exception):
    """The partitions were given to another process; what was not committed is theirs to write."""


class Sink:
    """Consumes, batches and writes until told to stop."""

    def __init__(
        self, settings: Settings, facts: metrics.SinkMetrics, warehouses: Sequence[Warehouse], policy: BatchPolicy
    ) -> None:
        self._settings = settings
        self._facts = facts
        self._policy = policy
        self._warehouses = warehouses
        self._columns = {table: _columns(warehouses[0], table) for table in _tables(warehouses[0])}
        self._rows: dict[str, RowsOf] = by_topic()
        self._buffers: dict[Key, Buffer] = {}
        self._lost = False
        self._stopping = False
        self._log = structlog.get_logger()
        self._consumer = _consumer(settings)
        self._pool = ThreadPoolExecutor(len(warehouses), "insert")

    def run(self) -> None:
        """Work until :meth:`stop`; what is buffered then is read again by the next start."""
        topics = [self._settings.topic(topic.name) for topic in TOPICS]
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        observed = 0.0
        try:
            while not self._stopping:
                self._collect(self._consumer.consume(5_000, 0.1))
                self._write_due()
                if time.monotonic() - observed > 1:
                    observed = time.monotonic()
                    self._observe_lag()
        finally:
            self._consumer.close()
            self._pool.shutdown()

    def stop(self) -> None:
        """Finish the batch in hand, then leave."""
        self._stopping = True

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Start where the group stands; an open intent fixes where the first batch ends."""
        self._buffers.clear()
        self._lost = False
        committed = self._until_answered(lambda: consumer.committed(partitions, timeout=10))
        for found in committed:
            key = (self._settings.logical(found.topic), found.partition)
            self._buffers[key] = Buffer(must_end_at=intended_end(found.metadata) if found.offset >= 0 else None)
        consumer.assign([TopicPartition(c.topic, c.partition, c.offset) for c in committed])
        consumer.resume(committed)  # a partition that was lost while paused comes back paused
        self._facts.became_ready()
        self._log.info(
            "partitions assigned",
            count=len(partitions),
            open_intents=sum(b.must_end_at is not None for b in self._buffers.values()),
        )

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._buffers.clear()
        self._lost = True

    def _collect(self, messages: Sequence[Message]) -> None:
        now = time.monotonic()
        for message in messages:
            if message.error() is not None and message.error().code() in FATAL:
                raise KafkaException(message.error())
            if message.error() is not None:
                self._log.warning("consume failed", error=message.error().str())
                continue
            buffer = self._buffers.get((self._settings.logical(message.topic()), message.partition()))
            if buffer is not None:
                record = Record(
                    message.offset(), message.timestamp()[1], message.key(), message.value(), message.headers() or ()
                )
                buffer.add(record, now)

    def _write_due(self) -> None:
        """Steps 2 to 4 for every partition that is due; they share the commits."""
        now = time.monotonic()
        if not any(buffer.is_due(self._policy, now) for buffer in self._buffers.values()):
            return
        batches = [
            Batch(topic, partition, records)
            for (topic, partition), buffer in self._buffers.items()
            if buffer.must_end_at is None or buffer.is_due(self._policy, now)
            if (records := buffer.take(now))
        ]
        try:
            self._commit([(batch, batch.first, intent_of(batch.last)) for batch in batches])  # 2
            self._insert_all(batches)  # 3
            self._commit([(batch, batch.last + 1, "") for batch in batches])  # 4
        except Lost:
            self._buffers.clear()
            self._log.warning("partitions were lost while writing; their new owner finishes the batch")
            return
        for batch in batches:
            self._facts.batch_committed(
                batch.topic, len(batch.records), batch.records[-1].appended_at_ms, batch.records[0].appended_at_ms
            )

    def _commit(self, offsets: Sequence[tuple[Batch, int, str]]) -> None:
        wanted = [
            TopicPartition(self._settings.topic(batch.topic), batch.partition, offset, metadata)
            for batch, offset, metadata in offsets
        ]
        self._until_answered(lambda: self._consumer.commit(offsets=wanted, asynchronous=False))

    def _until_answered(self, ask: Callable[[], Any]) -> Any:
        """Ask the broker until it answers; waiting is right as long as the partitions are ours."""
        while True:
            try:
                return ask()
            except KafkaException as failed:
                error = failed.args[0]
                if error.code() in FATAL:
                    raise
                if error.code() in LOST or self._lost:
                    raise Lost from None
                if self._stopping and not error.retriable():
                    raise
                self._log.warning("the broker does not answer; waiting", error=error.str())
                self._wait(1.0)

    def _insert_all(self, batches: Sequence[Batch]) -> None:
        lanes = [batches[i :: len(self._warehouses)] for i in range(len(self._warehouses))]
        pending = [
            self._pool.submit(self._insert_lane, lane, warehouse)
            for lane, warehouse in zip(lanes, self._warehouses, strict=True)
        ]
        while wait(pending, timeout=1.0).not_done:
            self._wait(0.0)
        for future in pending:
            future.result()

    def _insert_lane(self, batches: Sequence[Batch], warehouse: Warehouse) -> None:
        for batch in batches:
            self._insert(batch, warehouse)

    def _insert(self, batch: Batch, warehouse: Warehouse) -> None:
        name = token(batch.topic, batch.partition, batch.first, batch.last)
        for table, rows in self._rows_of(batch).items():
            started = time.perf_counter()
            self._until_inserted(partial(warehouse.insert, table, self._columns[table], rows, f"{name}/{table}"))
            self._facts.rows_inserted(table, len(rows), time.perf_counter() - started)

    def _rows_of(self, batch: Batch) -> dict[str, list[Row]]:
        place = Place(batch.topic, batch.partition, self._settings.partitions)
        rows: dict[str, list[Row]] = {}
        for record in batch.records:
            try:
                made = self._rows[batch.topic](place, record)
            except (ValueError, TypeError, AttributeError, OverflowError, msgspec.MsgspecError) as foreign:
                self._facts.record_unreadable(batch.topic)
                self._log.error(
                    "a record in a topic of ours is not ours; it makes no row",
                    topic=batch.topic,
                    partition=batch.partition,
                    offset=record.offset,
                    error=type(foreign).__name__,
                )
                continue
            for table, row in made:
                rows.setdefault(table, []).append(row)
        return rows

    def _until_inserted(self, insert: Callable[[], None]) -> None:
        """Insert until it worked: an insert whose fate is unknown must be repeated, and its token makes that safe."""
        pause = 0.2
        while True:
            try:
                insert()
            except Transient as away:
                self._facts.waiting(paused=True)
                self._facts.insert_retried()
                self._log.warning("ClickHouse does not take the batch; waiting", error=str(away))
                if self._lost or self._stopping:
                    raise Lost from None
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                pause = min(pause * 2, 10.0)
            else:
                self._facts.waiting(paused=False)
                return

    def _wait(self, seconds: float) -> None:
        """Let time pass without leaving the group: paused, but polled."""
        assignment = self._consumer.assignment()
        if assignment and not self._lost:
            self._consumer.pause(assignment)
        self._collect([message] if (message := self._consumer.poll(seconds)) is not None else [])
        if assignment and not self._lost:
            self._consumer.resume(self._consumer.assignment())

    def _observe_lag(self) -> None:
        for position in self._consumer.position(self._consumer.assignment()):
            topic = self._settings.logical(position.topic)
            _, end = self._consumer.get_watermark_offsets(position, cached=True)
            buffer = self._buffers.get((topic, position.partition), Buffer())
            oldest = buffer.records[0].appended_at_ms if buffer.records else None
            read = position.offset if position.offset >= 0 else end
            self._facts.lag(
                topic,
                position.partition,
                max(0, end - read) + len(buffer.records),
                max(0.0, time.time() - oldest / 1000) if oldest is not None else 0.0,
            )


def _consumer(settings: Settings) -> Consumer:
    more: dict[str, Any] = {"session.timeout.ms": 10_000, "heartbeat.interval.ms": 2_000}
    if settings.instance:
        more["group.instance.id"] = settings.instance
    return kafka.consumer(settings, "sink", settings.group("sink"), **more)


def _tables(warehouse: Warehouse) -> list[str]:
    return [
        str(name)
        for (name,) in warehouse.query(
            "SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree'",
            {"d": warehouse.database},
        ).rows
    ]


def _columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    rows = warehouse.query(
        "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position",
        {"d": warehouse.database, "t": table},
    ).rows
    return {str(name): str(kind) for name, kind in rows}


def run(settings: Settings) -> None:
    """Run a sink until SIGTERM or SIGINT."""
    logs.configure("sink")
    kafka.verify_topics(settings)
    warehouses = [connect(settings, create_database=True) for _ in range(WRITERS)]
    migrate(warehouses[0])
    made = metrics.registry("sink")
    metrics.serve(made, settings.listen, settings.sink_metrics_port)
    sink = Sink(settings, metrics.SinkMetrics(made), warehouses, BatchPolicy())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sink.stop())
    structlog.get_logger().info("sink ready")
    try:
        sink.run()
    except Lost:
        structlog.get_logger().info("sink stopped while waiting; its batch is read again at the next start")
    except KafkaException as failed:
        # librdkafka cannot go on with this client; a new process can
        raise Transient(f"Kafka ended the sink's membership: {failed.args[0].str()}") from None
