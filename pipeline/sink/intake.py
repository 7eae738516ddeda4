"""The intake of a sink: its partitions, their buffers, and commits that only the holder of a partition can make.

Offsets in here are counted from the topic's base (:mod:`pipeline.kafka.incarnations`); commits hold the broker's.

A *generation* is the time between two rebalances. What was begun in an earlier generation is lost: its partitions may
be somebody else's, who finishes it from the recorded intent. A commit is sent only in the generation of its batch and
under the name the group gave this process then, because a process that was thrown out of a group that is empty could
otherwise set its offsets back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import methodcaller
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline import kafka, metrics, retries
from pipeline.config import Settings
from pipeline.continuity import Place, Topics
from pipeline.errors import Refused, Transient
from pipeline.kafka.membership import FATAL, LOST, PartitionsRevoked, raise_partition_errors
from pipeline.retries import retry
from pipeline.sink.batches import Batch, Buffer, Plan, plan_of, plan_text
from pipeline.topics import TOPICS

Key = tuple[str, int]
HOLD_SECONDS = 5.0
"""How long a partition waits whose batch could not be written."""
ABANDON_SECONDS = 60.0
"""How long a sink that lost its partitions waits to be told so; then the process ends, and a new one joins."""


class Intake:
    """Membership in the group of sinks. Everything but :meth:`stop` and :attr:`stopping` belongs to one thread."""

    def __init__(
        self,
        settings: Settings,
        facts: metrics.SinkMetrics,
        group: str,
        topics: Topics,
        passed: Mapping[Place, int],
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._passed = passed
        self._facts = facts
        self._log = structlog.get_logger()
        self._consumer = _consumer(settings, group)
        self._logical = {settings.topic(topic.name): topic.name for topic in TOPICS}
        self._member: str | None = None
        self._starts: list[TopicPartition] = []
        self.buffers: dict[Key, Buffer] = {}
        self._writing: dict[Key, Batch] = {}
        """Batches that are recorded and not yet finished."""
        self._held: dict[Key, float] = {}
        """Partitions whose batch could not be written, with the moment at which it is tried again."""
        self.generation = 0
        self.stopping = False

    def join(self) -> None:
        """Join the group."""
        topics = [self._settings.topic(topic.name) for topic in TOPICS]
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Start where the group stands; an open intent fixes where the first batch ends."""
        self.generation += 1
        self.buffers, self._writing, self._held = {}, {}, {}
        committed = self._committed(partitions)
        for place in committed:
            buffer = Buffer(self._settings.logical(place.topic), place.partition)
            if place.offset >= 0 and (plan := plan_of(kafka.commit_note(place))):
                buffer.plan, buffer.start = plan, self._base(buffer.topic) + place.offset
            self.buffers[buffer.topic, buffer.partition] = buffer
        self._starts = [TopicPartition(c.topic, c.partition, self._start(c)) for c in committed]
        consumer.assign(self._starts)
        consumer.resume(self._starts)  # a partition that was lost while paused comes back paused
        self._member = consumer.memberid()
        self._facts.became_ready(True)
        intents = sum(bool(buffer.plan) for buffer in self.buffers.values())
        self._facts.intents(intents)
        self._log.info("partitions assigned", count=len(partitions), open_intents=intents)

    def _base(self, topic: str) -> int:
        return self._topics.bases.get(topic, 0)

    def _start(self, committed: TopicPartition) -> int:
        """Where to go on reading: behind what was given up; said, because librdkafka must not choose by itself."""
        if committed.offset < 0:
            return int(OFFSET_BEGINNING)
        topic = self._settings.logical(committed.topic)
        start: int = max(committed.offset, self._passed.get((topic, committed.partition), 0) - self._base(topic))
        return start

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where the group stands. Nothing is polled meanwhile: we are inside a poll."""
        if not partitions:
            return []
        try:
            return retry(
                retries.ASSIGNMENT, self._waits_for_broker,
                lambda: raise_partition_errors(self._consumer.committed(partitions, timeout=10)),
            )  # fmt: skip
        except KafkaException as failed:
            raise Transient(f"the broker does not say where the sinks stand: {failed.args[0].str()}") from None

    def _waits_for_broker(self, failed: Exception) -> bool:
        if self.stopping or not isinstance(failed, KafkaException):
            return False
        self._log.warning("the broker does not answer; waiting", error=failed.args[0].str())
        return True

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self.generation += 1
        self.buffers, self._writing, self._held, self._starts = {}, {}, {}, []
        self._facts.became_ready(False)

    def discard_until_reassigned(self, generation: int) -> None:
        """Forget what was read in a generation whose partitions are lost, and wait for the next one.

        Records that follow a lost batch must not become a batch of their own: its commit would skip the lost one.

        Raises
        ------
        Transient
            The group says that they are lost, and gives no new ones.
        """
        end = time.monotonic() + ABANDON_SECONDS
        while self.generation == generation and not self.stopping:
            self.buffers = {}
            if time.monotonic() > end:
                raise Transient("the group of sinks took the partitions away and gave no others")
            self.pause(0.2)

    def hold(self, batch: Batch, plan: Plan, now: float) -> None:
        """Take a batch back that has to be written as ``plan`` says, later; its partition waits, and is not read."""
        key = batch.topic, batch.partition
        self.buffers[key].put_back(batch, plan, now)
        self._held[key] = now + HOLD_SECONDS
        self._consumer.pause([self._partition(key)])

    def free(self, now: float) -> list[Buffer]:
        """The buffers whose partitions do not wait."""
        over = [key for key, until in self._held.items() if until <= now]
        for key in over:
            del self._held[key]
        if over:
            self._consumer.resume([self._partition(key) for key in over])
        return [buffer for key, buffer in self.buffers.items() if key not in self._held]

    def _partition(self, key: Key) -> TopicPartition:
        return TopicPartition(self._settings.topic(key[0]), key[1])

    def collect(self) -> None:
        """Take what has arrived; waits a moment when nothing has."""
        self._take(lambda: self._consumer.consume(5_000, 0.1))

    def _take(self, fetch: Callable[[], Sequence[Message]]) -> None:
        generation = self.generation
        messages = [message for message in fetch() if message.error() is None or self._is_well(message)]
        if self.generation == generation:
            self._keep(messages)
        elif messages and self._starts:  # nobody can tell which of the two terms they were read in: start over
            self._consumer.assign(self._starts)

    def _is_well(self, message: Message) -> bool:
        error = message.error()
        if error is not None and error.code() in FATAL:
            raise KafkaException(error)
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise self._out_of_range(message)
        if error is not None:
            self._log.warning("consume failed", error=error.str())
        return error is None

    def _out_of_range(self, message: Message) -> Refused:
        """The records where we read are not there any more: the topic is another, or they left it."""
        self._topics.check()
        return Refused(
            f"the next records of {message.topic()}, partition {message.partition()}, left the topic before they were "
            "read. The next start says which, and what to do"
        )

    def _keep(self, messages: Sequence[Message]) -> None:
        now = time.monotonic()
        for name, of_topic in groupby(messages, methodcaller("topic")):
            topic = self._logical[name]
            base = self._base(topic)
            for partition, run in groupby(of_topic, methodcaller("partition")):
                buffer = self.buffers.get((topic, partition))
                if buffer is not None:
                    buffer.add([kafka.record_of(message, base) for message in run], now)

    def pause(self, seconds: float) -> None:
        """Let time pass without leaving the group: nothing is fetched, but the group is answered."""
        assignment = self._consumer.assignment()
        if assignment:
            self._consumer.pause(assignment)
        self._take(lambda: [message] if (message := self._consumer.poll(seconds)) is not None else [])
        if going := [p for p in self._consumer.assignment() if self._key(p) not in self._held]:
            self._consumer.resume(going)

    def _key(self, place: TopicPartition) -> Key:
        return self._logical[place.topic], place.partition

    def record(self, generation: int, batches: Sequence[Batch]) -> None:
        """Commit every batch's first offset with its plan."""
        self._commit(generation, [self._place(batch, batch.first, batch.plan) for batch in batches])
        self._writing = {(batch.topic, batch.partition): batch for batch in batches}

    def finish(self, generation: int, batches: Sequence[Batch]) -> None:
        """Commit the offset after every batch, with what is left of its plan."""
        self._commit(generation, [self._place(batch, batch.last + 1, batch.rest) for batch in batches])
        self._writing = {}

    def _place(self, batch: Batch, offset: int, plan: Plan) -> TopicPartition:
        broker_offset = offset - self._base(batch.topic)
        return TopicPartition(self._settings.topic(batch.topic), batch.partition, broker_offset, plan_text(plan))

    def _commit(self, generation: int, places: list[TopicPartition]) -> None:
        """Ask the broker until it answers; waiting is right as long as the partitions are ours."""
        while places:
            if generation != self.generation or self._consumer.memberid() != self._member:
                raise PartitionsRevoked
            try:
                raise_partition_errors(self._consumer.commit(offsets=places, asynchronous=False))
            except KafkaException as failed:
                self._handle_commit_error(failed)
            else:
                return

    def _handle_commit_error(self, failed: KafkaException) -> None:
        error = failed.args[0]
        if error.code() in FATAL:
            raise failed
        if error.code() in LOST or self.stopping:
            raise PartitionsRevoked from None
        self._log.warning("the broker does not answer; waiting", error=error.str())
        self.pause(1.0)

    def observe_lag(self) -> None:
        """Tell how far each partition is behind; what is being written is not in ClickHouse yet."""
        for position in self._consumer.position(self._consumer.assignment()):
            topic = self._settings.logical(position.topic)
            _, end = self._consumer.get_watermark_offsets(position, cached=True)
            key = topic, position.partition
            writing = self._writing[key].records if key in self._writing else ()
            waiting = self.buffers.get(key, Buffer()).records
            oldest = next((records[0] for records in (writing, waiting) if records), None)
            seconds = max(0.0, time.time() - oldest.appended_at_ms / 1000) if oldest is not None else 0.0
            read = position.offset if position.offset >= 0 else end
            self._facts.lag(topic, position.partition, max(0, end - read) + len(writing) + len(waiting), seconds)


def _consumer(settings: Settings, group: str) -> Consumer:
    more: dict[str, Any] = {
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 2_000,
        "auto.offset.reset": "error",  # a jump over records that are gone must be seen
        "queued.max.messages.kbytes": 16_384,  # what waits costs memory, and a touch of new memory costs time
    }
    if settings.instance:
        more["group.instance.id"] = settings.instance
    return kafka.consumer(settings, "sink", settings.group(group), **more)
