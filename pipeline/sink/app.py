"""The sink: every topic into ClickHouse, batch by batch.

The order of steps is what the guarantee rests on:

1. collect consecutive records of a topic partition until there are enough, or time is up
2. record the intent: commit the batch's *first* offset, with its last offset as metadata
3. see that the topics are still the ones that were read, read the list of erased customers to its end, and insert
   what is not theirs: one block per table, under a token that names exactly this range
4. commit the offset after the last, which clears the intent

A crash before 3 re-reads the same range; a crash after 3 does too, and ClickHouse drops the repeated block by its
token; the rows of everybody who is not on the list are the same each time. While ClickHouse is away the consumer is
paused and polled, so the group stays whole and memory stays bounded.

A batch with a row that ClickHouse refuses goes back to step 2 in two halves, until the row is alone; its record then
becomes a dead letter, confirmed before step 4. A batch that fails again and again for no known reason (a materialized
view that throws) waits with its partition, and is tried now and then; the other partitions go on.
"""

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from confluent_kafka import KafkaException, Producer

from pipeline import kafka, logs, metrics, watched
from pipeline.config import Settings
from pipeline.continuity import Place, Topics
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Reason, Refused, Transient
from pipeline.exits import end_within
from pipeline.kafka import dead_letters
from pipeline.kafka.membership import PartitionsRevoked
from pipeline.records import DeadLetter
from pipeline.sink import lineage, maintenance, start_checks
from pipeline.sink.auditor import Auditor
from pipeline.sink.batches import Batch, BatchPolicy, PlanPart
from pipeline.sink.intake import Intake
from pipeline.sink.writing import Rejection, Writer
from pipeline.topics import DEAD_LETTERS
from pipeline.warehouse.client import Connecting, Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.model_registry import record_configured

WRITERS = 2
GROUP = "sink"
"""The group of those who write the live tables."""
STOP_SECONDS = 15.0
"""How long a stop may take."""


class Sink:
    """Consumes, batches and writes until told to stop."""

    def __init__(
        self,
        settings: Settings,
        facts: metrics.SinkMetrics,
        warehouses: Sequence[Warehouse],
        policy: BatchPolicy,
        crash: CrashPoints,
        topics: Topics,
        passed: Mapping[Place, int],
        group: str = GROUP,
    ) -> None:
        self._settings = settings
        self._facts = facts
        self._policy = policy
        self._crash = crash
        self._topics = topics
        self._intake = Intake(settings, facts, group, topics, passed)
        self._suppressions = Suppressions(settings)
        self._writer = Writer(settings, facts, warehouses, crash, self._suppressions.digests)
        self._producer: Producer | None = None
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Work until :meth:`stop`; what is buffered then is read again by the next start."""
        self._intake.join()
        observed = 0.0
        try:
            while not self._intake.stopping:
                self._intake.collect()
                self._write_due()
                if time.monotonic() - observed > 1:
                    observed = time.monotonic()
                    self._look_around()
        finally:
            self._intake.close()
            self._writer.close()
            self._suppressions.close()

    def stop(self) -> None:
        """Finish the batch in hand, then leave."""
        self._intake.stopping = True

    def _look_around(self) -> None:
        """Tell how things stand, also while a write waits for its answer."""
        self._facts.alive()
        self._intake.observe_lag()
        self._check_topics()

    def _meanwhile(self) -> None:
        self._intake.pause(0.0)
        self._look_around()

    def _write_due(self) -> None:
        """Steps 2 to 4 for every partition, as soon as one is due; they share the commits."""
        now = time.monotonic()
        buffers = self._intake.free(now)
        if not any(buffer.is_due(self._policy, now) for buffer in buffers):
            return
        batches = [batch for buffer in buffers if (batch := buffer.take(now)) is not None]
        generation = self._intake.generation
        try:
            self._write(batches, generation)
        except PartitionsRevoked:
            self._log.warning("partitions were lost while writing; their new owner finishes the batch")
            self._intake.discard_until_reassigned(generation)

    def _write(self, batches: Sequence[Batch], generation: int) -> None:
        self._crash.reached(Point.SINK_BEFORE_INTENT)
        self._intake.record(generation, batches)  # 2
        self._facts.intents(len(batches))
        self._crash.reached(Point.SINK_INTENT_RECORDED)
        self._enforce_suppressions(generation)
        refused = self._writer.write(batches, self._is_lost(generation), self._meanwhile)  # 3
        self._crash.reached(Point.SINK_INSERTED)
        halved = {id(rejection.batch) for rejection in refused if self._set_aside(rejection, generation)}
        written = [batch for batch in batches if id(batch) not in halved]
        self._intake.finish(generation, written)  # 4
        self._facts.intents(len(halved))
        self._crash.reached(Point.SINK_COMMITTED)
        for batch in written:
            ends = [record.appended_at_ms for record in (*batch.records[:1], *batch.records[-1:])]
            self._facts.batch_committed(batch.topic, len(batch.records), ends)

    def _check_topics(self) -> None:
        try:
            self._topics.check()
        except Transient:
            pass  # away; whoever works will say so
        except Refused:
            self.stop()  # nobody waits for what is being written
            raise

    def _enforce_suppressions(self, generation: int) -> None:
        """Know everybody who was erased before the intent was recorded, and that what was read is of our topics."""
        while True:
            try:
                self._topics.check()
                self._suppressions.read()
            except Transient as away:
                if self._is_lost(generation)():
                    raise PartitionsRevoked from None
                self._log.warning("the broker does not answer; waiting", error=str(away))
                self._intake.pause(1.0)
            else:
                return

    def _is_lost(self, generation: int) -> Callable[[], bool]:
        return lambda: self._intake.stopping or self._intake.generation != generation

    def _set_aside(self, rejection: Rejection, generation: int) -> bool:
        """Deal with a refusal: a record alone becomes a dead letter, a larger batch is to be written in halves."""
        batch = rejection.batch
        if len(batch.records) == 1 and not rejection.whole:
            self._bury(rejection)
            return False
        if self._is_lost(generation)():
            raise PartitionsRevoked
        if rejection.whole:
            self._log.error("ClickHouse refuses a batch; its partition waits, the others go on", **_place(batch))
            self._intake.hold(batch, (PlanPart(batch.last, rejection.done), *batch.rest), time.monotonic())
            return True
        self._log.warning("ClickHouse refuses rows of a batch; halving it", **_place(batch), error=rejection.detail)
        self._intake.buffers[batch.topic, batch.partition].put_back(
            batch, batch.halved(rejection.done), time.monotonic()
        )
        return True

    def _bury(self, rejection: Rejection) -> None:
        """Make the record a dead letter. One that is a dead letter already is only counted: it would go in circles."""
        batch, record = rejection.batch, rejection.batch.records[0]
        self._facts.record_rejected(batch.topic)
        self._log.error("ClickHouse refuses the row of a record", **_place(batch), error=rejection.detail)
        if batch.topic == DEAD_LETTERS.name:
            return
        reason = Reason.REJECTED_BY_WAREHOUSE
        self._send(DeadLetter(batch.topic, batch.partition, record, reason, rejection.detail))

    def _send(self, letter: DeadLetter) -> None:
        if self._producer is None:
            self._producer = kafka.producer(self._settings, "sink")
        with kafka.send_confirmed(self._producer, _not_taken) as sending:
            dead_letters.send(sending, letter, self._settings)


def _not_taken(failures: Sequence[str | None]) -> Transient:
    return Transient(f"Kafka did not take a dead letter: {failures}")


def _place(batch: Batch) -> dict[str, str | int]:
    return {"topic": batch.topic, "partition": batch.partition, "first": batch.first, "last": batch.last}


def _on_signal(stop: Callable[[], None]) -> None:
    """Call ``stop`` from a thread of its own at SIGTERM or SIGINT.

    The main thread may be waiting inside librdkafka, where it would hear of a signal only when the broker answers.
    """
    heard, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(heard, 1)
        stop()

    watched.live_or_end("signals", wait)


def _stop(sink: Sink) -> None:
    """Ask it to stop; a stop that takes too long (the broker may be gone) is cut short: intents are recorded."""
    sink.stop()
    end_within(STOP_SECONDS)


def run(settings: Settings, connecting: Connecting = connect) -> None:
    """Run a sink until SIGTERM or SIGINT."""
    logs.configure("sink")
    crash = CrashPoints.from_env(os.environ)
    kafka.verify_topics(settings)
    start_checks.keeps_metadata(settings)
    warehouses = [connecting(settings, create_database=True) for _ in range(WRITERS)]
    migrate(warehouses[0], quiet=lambda: start_checks.nobody_writes(settings))
    record_configured(warehouses[0], settings, datetime.now(UTC))
    start_checks.windows(warehouses[0])
    maintenance.wait_for_the_end(warehouses[0])
    with contextlib.closing(Suppressions(settings)) as suppressions:
        topics = lineage.agreed(settings, suppressions, warehouses[0])
    registry = metrics.registry("sink")
    metrics.serve(registry, settings.listen, settings.sink_metrics_port)
    facts = metrics.SinkMetrics(registry)
    sink = Sink(settings, facts, warehouses, BatchPolicy(), crash, topics, lineage.passed(warehouses[0], "sink"))
    auditor = Auditor(settings, facts, lambda: connecting(settings), topics.bases)
    _on_signal(lambda: _stop(sink))
    auditor.start()
    gc.freeze()  # what is there now stays
    gc.set_threshold(200_000, 50, 1_000)  # records and rows hold no cycles
    swap = maintenance.TableSwapWatch(lambda: connecting(settings), sink.stop)
    swap.start()
    structlog.get_logger().info("sink ready")
    try:
        sink.run()
    except PartitionsRevoked:
        structlog.get_logger().info("sink stopped while waiting; its batch is read again at the next start")
    except KafkaException as failed:
        # librdkafka cannot go on with this client; a new process can
        raise Transient(f"Kafka ended the sink's membership: {failed.args[0].str()}") from None
    finally:
        auditor.stop()
    if swap.seen:
        raise Transient("`loyalty rebuild` swaps the tables; the next start goes on with the new ones")
