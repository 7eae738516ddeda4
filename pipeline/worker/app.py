"""The worker: a Faust app with one agent per input topic and one table."""

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from pipeline import continuity, kafka, logs, metrics, watched
from pipeline.config import Settings
from pipeline.continuity import Topics
from pipeline.crashpoints import CrashPoints
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Transient
from pipeline.exits import Exit, end_process, leave
from pipeline.kafka import topic_refusals
from pipeline.kafka.stopped_inputs import Notice
from pipeline.kafka.topic_refusals import Gone
from pipeline.policy import policy_of
from pipeline.topics import ALERTS, INPUTS, STATES, Topic
from pipeline.worker import aiokafka_patches, maintenance
from pipeline.worker.engine import Engine
from pipeline.worker.faust_app import configured_app, create_table
from pipeline.worker.guards.fuses import Fuses
from pipeline.worker.guards.static_membership import own_member_id, place_is_taken
from pipeline.worker.guards.watchdog import Watchdog
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.table import CustomerTable

FUSE_SECONDS = 2.0
"""How often it is asked which topics stand."""


def create_app(
    settings: Settings,
    facts: metrics.WorkerMetrics,
    loop: asyncio.AbstractEventLoop,
    crash: CrashPoints,
    topics: Topics,
    fuses: Fuses,
) -> faust.App:
    """Compose the Faust app; nothing is connected yet."""
    aiokafka_patches.install()
    app = configured_app(settings)
    app.crash = crash
    table = create_table(app, settings, topics)
    table.loop = loop  # left to itself it makes one that never runs, and a stop waits for a task on it for ever
    outputs, suppressions = KafkaOutputs(settings, crash), Suppressions(settings)
    policy = policy_of(settings)
    engine = Engine(settings, table, outputs, facts, lambda: app.consumer, policy, suppressions, topics.bases, fuses)
    app.customers = table.customers
    app.records_are_gone = lambda tp, expected, first: _records_are_gone(settings, tp, expected, first)
    app.stands = lambda tp: settings.logical(tp.topic) in fuses.standing
    app.commit_note = lambda tp: engine.note(tp.topic, tp.partition)
    for topic in INPUTS:
        _add_agent(app, settings, topic, engine)
    watchdog = Watchdog(loop, lambda: _recovered(app, table), lambda: app.should_stop)
    _add_observers(app, settings, table, engine, facts, watchdog)
    _add_timers(app, settings, engine, facts)
    _every(app, FUSE_SECONDS, fuses.watch)
    watchdog.start()
    return app


def _add_agent(app: faust.App, settings: Settings, topic: Topic, engine: Engine) -> None:
    channel = app.topic(
        settings.topic(topic.name), key_type=bytes, value_type=bytes, allow_empty=True, partitions=settings.partitions
    )

    @app.agent(channel, name=f"agent-{topic.name}")  # type: ignore[untyped-decorator]
    async def agent(stream: faust.StreamT[list[Any]]) -> None:
        async for event in stream.events():
            await engine.take(topic, event.message)


def _records_are_gone(settings: Settings, tp: TP, expected: int, first: int) -> None:
    """End the process: the records it should read next are not there, and it must not go on behind them."""
    topic = settings.logical(tp.topic)
    gone = Gone("worker", topic, tp.partition, expected, first)
    refused = topic_refusals.lost(settings, gone) if first > expected else topic_refusals.again(settings, topic)
    structlog.get_logger().critical(str(refused))
    end_process(Exit.REFUSED)


def _recovered(app: faust.App, table: CustomerTable) -> tuple[int, int]:
    """The progress of a recovery: two numbers that change while it goes on."""
    offsets = app.tables.recovery.active_offsets
    return table.count(), sum(offset or 0 for offset in list(offsets.values()))


def _add_observers(
    app: faust.App,
    settings: Settings,
    table: CustomerTable,
    engine: Engine,
    facts: metrics.WorkerMetrics,
    watchdog: Watchdog,
) -> None:
    """Hear when partitions come and go."""
    was_member: list[bool] = []

    def became_ready(ready: bool) -> None:
        facts.became_ready(ready=ready)
        watchdog.became_ready(ready=ready)

    @table.on_recover  # type: ignore[untyped-decorator]
    async def recovered() -> None:
        engine.assigned()
        gc.freeze()  # what was recovered stays; the collector need not look at it again
        became_ready(True)
        facts.customers(table.count())
        structlog.get_logger().info("worker ready", customers=table.count())

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        await engine.revoked()
        became_ready(False)
        if settings.instance and was_member:
            await _end_when_replaced(app, settings)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def assigned(_app: Any, _assigned: Any, **_: Any) -> None:
        was_member[:] = [True]  # until then it may take the place of a process that died


def _add_timers(app: faust.App, settings: Settings, engine: Engine, facts: metrics.WorkerMetrics) -> None:
    """Look again and again at what no record says."""
    inputs = {settings.topic(topic.name) for topic in INPUTS}

    async def watch_outputs() -> None:
        held = {tp.partition for tp in app.consumer.assignment() if tp.topic in inputs}
        places = {(topic, n): TP(settings.topic(topic.name), n) for n in held for topic in (STATES, ALERTS)}
        try:
            ends = await app.consumer.highwaters(*places.values())
        except KafkaError:
            return  # the broker is away; there is a next time
        for n in held:
            known = {topic: end for topic in (STATES, ALERTS) if (end := ends.get(places[topic, n])) is not None}
            await engine.watch_outputs(n, known)

    async def tick() -> None:
        await engine.tick(time.time_ns() // 1_000_000)

    async def observe_lag() -> None:
        facts.alive()
        for tp in list(app.consumer.assignment()):
            if tp.topic in inputs:
                _observe_lag(app, settings, tp, facts)

    _every(app, 5.0, watch_outputs)
    _every(app, float(settings.tick_seconds), tick)
    _every(app, 1.0, engine.apply_suppressions)
    _every(app, 1.0, observe_lag)


def _every(app: faust.App, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """A timer that must live: whatever its work raises ends the process."""
    name = getattr(work, "__name__", "timer")

    @app.timer(seconds, name=name)  # type: ignore[untyped-decorator]
    async def again() -> None:
        await watched.or_end(name, work(), lambda: app.should_stop)


async def _end_when_replaced(app: faust.App, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    if await loop.run_in_executor(None, place_is_taken, settings, own_member_id(app)):
        structlog.get_logger().critical(
            "another worker has taken this one's place; give every worker a LOYALTY_INSTANCE of its own",
            instance=settings.instance,
        )
        end_process(Exit.REFUSED)


def _observe_lag(app: faust.App, settings: Settings, tp: Any, facts: metrics.WorkerMetrics) -> None:
    ledger = app.consumer.ledger
    end, position = app.consumer.highwater(tp), ledger.position(tp)
    processed = position if position is not None else app.consumer._committed_offset[tp] or 0
    oldest = ledger.oldest_ms(tp)
    age = max(0.0, time.time() - oldest / 1000) if oldest is not None else 0.0
    facts.lag(settings.logical(tp.topic), tp.partition, max(0, (end or 0) - processed), age)


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop; raises :class:`SystemExit`."""
    logs.configure("worker")
    kafka.verify_topics(settings)
    registry = metrics.registry("worker")
    metrics.serve(registry, settings.listen, settings.worker_metrics_port)
    maintenance.wait_for_the_end(settings)
    watch = maintenance.StateSwapWatch(settings)
    with contextlib.closing(Suppressions(settings)) as suppressions:
        topics = continuity.agreed(settings, suppressions, "worker", {})
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    gc.set_threshold(200_000, 50, 1_000)  # events and customers hold no cycles
    facts = metrics.WorkerMetrics(registry)
    fuses = Fuses(settings, Notice(settings), facts.topic_stands)
    app = create_app(settings, facts, loop, CrashPoints.from_env(os.environ), topics, fuses)
    worker = faust.Worker(
        app, loop=loop, loglevel="WARNING", redirect_stdouts=False, override_logging=False, daemon=True, quiet=True
    )
    worker.spinner = None  # it would write a terminal's control characters in front of a log line
    watch.start()
    topics.watch()
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        if watch.seen:
            raise Transient("`loyalty rebuild` puts new states into place; the next start goes on with them") from None
        if fuses.going_on:
            raise Transient("a topic that stood goes on; the next start reads it") from None
        leave(Exit.CRASHED if ended.code else Exit.OK)  # Faust has said why
    finally:
        app.customers.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()  # type: ignore[no-any-return]
