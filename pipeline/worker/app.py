"""The worker: a Faust app with one agent per input topic and one table.

An exception that leaves an agent would make Faust acknowledge the slice it failed on. So none leaves: an unforeseen
failure ends the process on the spot, with nothing committed, and the slice is read again after the restart. A
cancellation (shutdown) waits for the slice in hand.
"""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import faust
import structlog
from faust.types import TP

from pipeline import kafka, logs, metrics
from pipeline.config import Settings
from pipeline.core.decode import Decoder
from pipeline.errors import LoyaltyError, Refused
from pipeline.flow import Outcome, Record, Slice, process
from pipeline.topics import INPUTS, STATES, Topic
from pipeline.worker.credentials import broker_credentials
from pipeline.worker.membership import own_member_id, place_is_taken
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.table import CustomerTable
from pipeline.worker.transport import SliceStream, SliceTopic
from pipeline.worker.watchdog import Watchdog

CRASHED = 70
"""Exit code after an unforeseen failure."""


class Engine:
    """Runs slices through :mod:`pipeline.flow`, one at a time per partition number."""

    def __init__(
        self, settings: Settings, table: CustomerTable, outputs: KafkaOutputs, facts: metrics.WorkerMetrics
    ) -> None:
        self._settings = settings
        self._table = table
        self._outputs = outputs
        self._facts = facts
        self._decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._log = structlog.get_logger()

    def check_order(self, in_order: bool) -> None:
        """End the process when Faust dropped a slice: going on would skip its records for good."""
        if not in_order:
            self._log.critical("a slice was dropped before its agent saw it; nothing of it is committed")
            os._exit(CRASHED)

    async def handle(self, topic: Topic, records: list[Any]) -> None:
        """Process a slice to the end, even while being cancelled; a failure ends the process."""
        task = asyncio.ensure_future(self._process_or_die(topic, records))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await task
            raise

    async def _process_or_die(self, topic: Topic, records: list[Any]) -> None:
        try:
            await self._process(topic, records)
        except BaseException as failure:
            known = isinstance(failure, LoyaltyError)
            self._log.critical(
                "slice failed; nothing of it is committed",
                topic=topic.name,
                error=str(failure),
                exc_info=None if known else failure,
            )
            sys.stderr.flush()
            os._exit(failure.exit_code if isinstance(failure, LoyaltyError) else CRASHED)

    async def _process(self, topic: Topic, records: list[Any]) -> None:
        slice_ = Slice(
            topic.name,
            records[0].partition,
            self._settings.partitions,
            [Record(r.offset, r.timestamp, r.key, r.value, r.headers) for r in records],
        )
        async with self._locks[slice_.partition]:
            started = time.perf_counter()
            outcome = await process(slice_, self._decoders[topic.name], self._table, self._outputs)
            self._record(slice_, outcome, time.perf_counter() - started)

    def _record(self, slice_: Slice, outcome: Outcome, seconds: float) -> None:
        self._facts.slice_processed(slice_.topic, len(slice_.records), outcome, seconds)
        self._facts.events_rejected(slice_.topic, (letter.reason for letter in outcome.dead))
        for alert, appended_at_ms in outcome.alerts:
            self._facts.alert_sent(alert.transition, alert.severity, appended_at_ms)
        self._facts.customers(len(self._table.data.data))


def create_app(settings: Settings, facts: metrics.WorkerMetrics, loop: asyncio.AbstractEventLoop) -> faust.App:
    """Compose the Faust app; nothing is connected yet."""
    app = faust.App(
        settings.group("worker"),
        broker=[f"slices://{address.strip()}" for address in settings.kafka.split(",")],
        broker_credentials=broker_credentials(settings),
        store="memory://",
        Topic=SliceTopic,
        Stream=SliceStream,
        Table=CustomerTable,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
        broker_commit_interval=0.5,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=30.0,
        consumer_group_instance_id=settings.instance or None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1024 * 1024,
    )
    table = _create_table(app, settings)
    table.loop = loop  # left to itself it makes one that never runs, and a stop waits for a task on it for ever
    engine = Engine(settings, table, KafkaOutputs(settings), facts)
    for topic in INPUTS:
        _add_agent(app, settings, topic, engine)
    watchdog = Watchdog(loop, lambda: _recovered(app, table), lambda: app.should_stop)
    _add_observers(app, settings, table, facts, watchdog)
    watchdog.start()
    return app


def _create_table(app: faust.App, settings: Settings) -> CustomerTable:
    table: CustomerTable = app.Table(
        STATES.name,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        changelog_topic=app.topic(
            settings.topic(STATES.name),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            internal=True,
            allow_empty=True,
            partitions=settings.partitions,
            compacting=True,
            maxsize=131_072,
        ),
    )
    return table


def _add_agent(app: faust.App, settings: Settings, topic: Topic, engine: Engine) -> None:
    channel = app.topic(
        settings.topic(topic.name), key_type=bytes, value_type=bytes, allow_empty=True, partitions=settings.partitions
    )

    @app.agent(channel, name=f"agent-{topic.name}")  # type: ignore[untyped-decorator]
    async def agent(stream: AsyncIterator[list[Any]]) -> None:
        async for slice_ in stream:
            tp = TP(slice_[-1].topic, slice_[-1].partition)
            engine.check_order(app.consumer.ledger.in_order(tp, slice_[-1].offset))
            await engine.handle(topic, slice_)


def _recovered(app: faust.App, table: CustomerTable) -> tuple[int, int]:
    """What changes while state is being recovered."""
    offsets = app.tables.recovery.active_offsets
    return len(table.data.data), sum(offset or 0 for offset in list(offsets.values()))


def _add_observers(
    app: faust.App, settings: Settings, table: CustomerTable, facts: metrics.WorkerMetrics, watchdog: Watchdog
) -> None:
    log = structlog.get_logger()
    inputs = {settings.topic(topic.name) for topic in INPUTS}
    was_member: list[bool] = []

    @table.on_recover  # type: ignore[untyped-decorator]
    async def recovered() -> None:
        facts.became_ready(ready=True)
        watchdog.became_ready(ready=True)
        facts.customers(len(table.data.data))
        log.info("worker ready", customers=len(table.data.data))

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        facts.became_ready(ready=False)
        watchdog.became_ready(ready=False)
        if settings.instance and was_member:
            await _end_when_replaced(app, settings)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def assigned(_app: Any, _assigned: Any, **_: Any) -> None:
        was_member[:] = [True]  # until then it may take the place of a process that died

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def observe_lag() -> None:
        for tp in app.consumer.assignment():
            if tp.topic in inputs:
                _observe_lag(app, settings, tp, facts)


async def _end_when_replaced(app: faust.App, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    if await loop.run_in_executor(None, place_is_taken, settings, own_member_id(app)):
        structlog.get_logger().critical(
            "another worker has taken this one's place; give every worker a LOYALTY_INSTANCE of its own",
            instance=settings.instance,
        )
        os._exit(Refused.exit_code)


def _observe_lag(app: faust.App, settings: Settings, tp: Any, facts: metrics.WorkerMetrics) -> None:
    ledger = app.consumer.ledger
    end, position = app.consumer.highwater(tp), ledger.position(tp)
    done = position if position is not None else app.consumer._committed_offset[tp] or 0
    oldest = ledger.oldest_ms(tp)
    age = max(0.0, time.time() - oldest / 1000) if oldest is not None else 0.0
    facts.lag(settings.logical(tp.topic), tp.partition, max(0, (end or 0) - done), age)


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop; raises :class:`SystemExit`."""
    logs.configure("worker")
    kafka.verify_topics(settings)
    made = metrics.registry("worker")
    metrics.serve(made, settings.listen, settings.worker_metrics_port)
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    app = create_app(settings, metrics.WorkerMetrics(made), loop)
    faust.Worker(
        app, loop=loop, loglevel="WARNING", redirect_stdouts=False, override_logging=False, daemon=True, quiet=True
    ).execute_from_commandline()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()  # type: ignore[no-any-return]
