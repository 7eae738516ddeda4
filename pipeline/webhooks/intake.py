"""What a notifier is given to read: the alerts of its partitions, and what was pending in them.

Partitions of ``churn-alerts`` and ``webhook-pending`` with the same number are held together. One of pending messages
is read from its beginning each time it is assigned; its alerts are read only when that came to its end. Afterwards what
others write there is read as it comes: a replay that somebody asked for.

A group that has never committed begins at the end: what was told before is not news. Offsets in here are counted from
the topic's base (:mod:`pipeline.kafka.incarnations`); commits hold the broker's. A *generation* is the time between two
rebalances, as in :mod:`pipeline.sink.intake`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Refused, Transient
from pipeline.kafka.incarnations import Bases
from pipeline.kafka.membership import FATAL, LOST, raise_partition_errors
from pipeline.records import Record
from pipeline.topics import ALERTS, WEBHOOK_PENDING

GROUP = "notifier"
FETCH = 500
FETCH_SECONDS = 0.05
"""How long a fetch waits for more: a part of every first attempt's delay."""
ANSWER_SECONDS = 10.0
ABANDON_SECONDS = 60.0
"""How long a notifier that lost its partitions waits to be given others; then the process ends."""


@dataclass(slots=True)
class Fetched:
    """What one fetch brought, in the order of the log; everything by partition."""

    pending: dict[int, list[Record]] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    """Partitions whose pending messages are read to their end."""
    alerts: dict[int, list[Record]] = field(default_factory=dict)


class Intake:
    """Membership in the group of notifiers; one call at a time, from any thread."""

    def __init__(self, settings: Settings, bases: Bases) -> None:
        self._alerts = settings.topic(ALERTS.name)
        self._pending = settings.topic(WEBHOOK_PENDING.name)
        self._base = bases.get(ALERTS.name, 0)
        self._log = structlog.get_logger()
        self._consumer = _consumer(settings)
        self._starts: list[TopicPartition] = []
        self._member: str | None = None
        self._unread: set[int] = set()
        self._early: dict[int, list[Record]] = {}
        """Alerts that came although their partitions were paused; they are used when what was pending is read."""
        self._lost_at: float | None = None
        """When the group turned out to have given the partitions to somebody else without saying so."""
        self.generation = 0
        self.partitions: frozenset[int] = frozenset()

    def join(self) -> None:
        """Join the group."""
        topics = [self._alerts, self._pending]
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        alerts = [p for p in partitions if p.topic == self._alerts]
        held = {p.partition for p in alerts}
        if held != {p.partition for p in partitions if p.topic == self._pending}:
            raise Refused(f"{self._alerts} and {self._pending} differ in their partitions; give them the same number")
        self.generation += 1
        self._lost_at = None
        self.partitions, self._unread = frozenset(held), set(held)
        begun = [TopicPartition(p.topic, p.partition, p.offset) for p in self._positions(alerts)]
        pending = [TopicPartition(self._pending, number, OFFSET_BEGINNING) for number in held]
        self._starts = [*begun, *pending]
        self._assign()
        self._member = consumer.memberid()
        self._log.info("partitions assigned", count=len(held))

    def _assign(self) -> None:
        """Read what is pending from its beginning; alerts wait until that is done."""
        self._unread, self._early = set(self.partitions), {}
        self._consumer.assign(self._starts)
        self._consumer.resume(self._starts)  # a partition that was lost while paused comes back paused
        if waiting := [place for place in self._starts if place.topic == self._alerts]:
            self._consumer.pause(waiting)

    def _positions(self, alerts: list[TopicPartition]) -> list[TopicPartition]:
        """Where to go on; a partition without a commit begins at its end, and that is committed at once."""
        if not alerts:
            return []
        try:
            places = raise_partition_errors(self._consumer.committed(alerts, timeout=ANSWER_SECONDS))
            bounds = {p.partition: self._consumer.get_watermark_offsets(p, timeout=ANSWER_SECONDS) for p in places}
            new = [TopicPartition(p.topic, p.partition, bounds[p.partition][1]) for p in places if p.offset < 0]
            if new:
                raise_partition_errors(self._consumer.commit(offsets=new, asynchronous=False))
        except KafkaException as failed:
            raise Transient(f"the broker does not say where the notifiers stand: {failed.args[0].str()}") from None
        known = [p for p in places if p.offset >= 0]
        for place in known:
            if place.offset < bounds[place.partition][0]:
                self._log.warning("alerts left the topic before they were read", partition=place.partition)
                place.offset = bounds[place.partition][0]
        return [*known, *new]

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self.generation += 1
        self.partitions, self._unread, self._starts, self._early = frozenset(), set(), [], {}

    def fetch(self) -> Fetched:
        """What has arrived; waits a moment when nothing has."""
        generation = self.generation
        messages = self._consumer.consume(FETCH, FETCH_SECONDS)
        if self._lost_at is not None:
            if time.monotonic() - self._lost_at > ABANDON_SECONDS:
                raise Transient("the group of notifiers took the partitions away and gave no others")
            return Fetched()
        if self.generation != generation:
            if messages and self._starts:  # nobody can tell which of the two generations they were read in: start over
                self.generation += 1
                self._assign()
            return Fetched()
        fetched = Fetched()
        for message in messages:
            self._sort(message, fetched)
        for number in fetched.read:
            self._consumer.resume([TopicPartition(self._alerts, number)])
        return fetched

    def _sort(self, message: Message, fetched: Fetched) -> None:
        error, partition = message.error(), message.partition()
        if error is None and message.topic() == self._pending:
            fetched.pending.setdefault(partition, []).append(kafka.record_of(message))
        elif error is None:
            early = self._early if partition in self._unread else fetched.alerts
            early.setdefault(partition, []).append(kafka.record_of(message, self._base))
        elif error.code() == KafkaError._PARTITION_EOF:
            if message.topic() == self._pending and partition in self._unread:
                self._unread.discard(partition)
                fetched.read.append(partition)
                fetched.alerts[partition] = self._early.pop(partition, []) + fetched.alerts.pop(partition, [])
        elif error.code() in FATAL or error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Transient(f"Kafka ended the notifier's membership: {error.str()}")
        else:
            self._log.warning("consume failed", error=error.str())

    def commit(self, generation: int, ends: Mapping[int, int]) -> bool:
        """Commit the offset behind the last alert of each partition; ``False``: the partitions are somebody else's.

        Raises
        ------
        Transient
            The broker does not take it.
        """
        if generation != self.generation or self._consumer.memberid() != self._member:
            return False
        places = [TopicPartition(self._alerts, number, end - self._base) for number, end in ends.items()]
        try:
            raise_partition_errors(self._consumer.commit(offsets=places, asynchronous=False))
        except KafkaException as failed:
            error = failed.args[0]
            if error.code() in LOST:
                return False
            raise Transient(f"the broker does not take the notifier's progress: {error.str()}") from None
        return True

    def discard(self) -> None:
        """The partitions are lost: use nothing of what was fetched until the group gives new ones."""
        self._lost_at = time.monotonic()
        self._revoked(self._consumer, [])

    def lag(self) -> dict[int, int]:
        """How many alerts of each partition are not yet read."""
        held: Sequence[TopicPartition] = [TopicPartition(self._alerts, number) for number in self.partitions]
        behind = {}
        for position in self._consumer.position(list(held)):
            _, end = self._consumer.get_watermark_offsets(position, cached=True)
            behind[position.partition] = max(0, end - position.offset) if position.offset >= 0 else 0
        return behind


def _consumer(settings: Settings) -> Consumer:
    more: dict[str, object] = {
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 2_000,
        "auto.offset.reset": "error",  # a jump over alerts that are gone must be seen
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 16_384,
        "fetch.wait.max.ms": 100,
        "partition.assignment.strategy": "range",  # the same partitions of both topics
    }
    if settings.instance:
        more["group.instance.id"] = settings.instance
    return kafka.consumer(settings, "notifier", settings.group(GROUP), **more)
