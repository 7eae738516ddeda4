"""What leaves the worker: alerts, dead letters and the state's changelog, each confirmed by the broker.

Rules
-----
- librdkafka delivers; one thread serves its callbacks; a batch wakes the event loop once, when all of it is confirmed.
- A record that cannot be delivered is fatal for the worker: it must not commit past it.
- A partition of ``customer-states`` and of ``churn-alerts`` has one writer, the worker that holds the partition. Each
  batch must therefore lie in the log right behind the one before it, without a gap; only its first and last record
  are asked for their offsets. Where that is not so, somebody else wrote: another worker, and this one ends; or a
  stranger, whose records are left alone.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from confluent_kafka import Message

from pipeline import watched
from pipeline.config import Settings
from pipeline.core.state.customer import applied_of
from pipeline.core.state.marks import is_piece
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import Transient
from pipeline.kafka import Headers, Sending, dead_letters, producer
from pipeline.kafka.self_fencing import Pulse
from pipeline.records import AlertUpdate, DeadLetter
from pipeline.topics import ALERTS, APPLIED_HEADER, STATES, Topic
from pipeline.worker.reading import is_message, patiently, records_between

_alert_encoder = msgspec.json.Encoder()
_applied_encoder = msgspec.json.Encoder()


class KafkaOutputs:
    """Implements :class:`pipeline.flow.Outputs` on Kafka."""

    def __init__(self, settings: Settings, crash: CrashPoints) -> None:
        self._settings = settings
        self._crash = crash
        self._producer = producer(settings, "worker", **{"linger.ms": 1})
        self._topics = {topic: settings.topic(topic.name) for topic in (ALERTS, STATES)}
        self._next: dict[tuple[Topic, int], int] = {}
        self._pulse = Pulse()
        watched.live_or_end("outputs", self._serve)

    def _serve(self) -> None:
        while True:
            self._producer.poll(0.1)

    def next_offset(self, topic: Topic, partition: int) -> int | None:
        """Where the next record of a partition of ours will lie, ``None`` when that is not known."""
        return self._next.get((topic, partition))

    def expect(self, topic: Topic, partition: int, offset: int) -> None:
        """Our next record of a partition lies at ``offset``, unless somebody else writes there."""
        self._next[topic, partition] = offset

    def forget(self) -> None:
        """Partitions were given up: others may write there."""
        self._next.clear()

    async def effects(self, partition: int, news: Sequence[AlertUpdate], dead: Sequence[DeadLetter]) -> None:
        """Send alerts and dead letters; return when the broker has them."""
        batch = _Batch()
        await self._confirmed(lambda sending: self._send_effects(sending, partition, news, dead, batch))
        self._crash.reached(Point.EFFECTS_CONFIRMED)
        if news:
            await self._check(ALERTS, partition, batch, len(news))

    async def pieces(self, partition: int, values: Mapping[bytes, bytes | None]) -> int:
        """Send pieces to the changelog's same partition, as :meth:`states` does customers."""
        batch = _Batch()
        await self._confirmed(lambda sending: self._send_values(sending, partition, values, batch))
        self._crash.reached(Point.PIECES_CONFIRMED)
        await self._check(STATES, partition, batch, len(values))
        return batch.last

    async def states(self, partition: int, values: Mapping[bytes, bytes | None]) -> int:
        """Send changed customers to the changelog's same partition; return the last offset once all are there.

        ``None`` erases a customer.
        """
        batch = _Batch()
        await self._confirmed(lambda sending: self._send_states(sending, partition, values, batch))
        self._crash.reached(Point.STATES_CONFIRMED)
        await self._check(STATES, partition, batch, len(values))
        return batch.last

    def _send_effects(
        self, sending: Sending, partition: int, news: Sequence[AlertUpdate], dead: Sequence[DeadLetter], batch: "_Batch"
    ) -> None:
        alerts: list[tuple[bytes, bytes, Headers]] = [
            (
                item.alert.customer_id.encode(),
                _alert_encoder.encode(item.alert),
                [(APPLIED_HEADER, _applied_encoder.encode(item.applied))],
            )
            for item in news
        ]
        sending.send_in_order(self._topics[ALERTS], partition, alerts, batch.confirmed)
        for letter in dead:
            dead_letters.send(sending, letter, self._settings)
        self._crash.reached(Point.EFFECTS_SENT)

    def _send_states(
        self, sending: Sending, partition: int, values: Mapping[bytes, bytes | None], batch: "_Batch"
    ) -> None:
        self._send_values(sending, partition, values, batch)
        self._crash.reached(Point.STATES_SENT)

    def _send_values(
        self, sending: Sending, partition: int, values: Mapping[bytes, bytes | None], batch: "_Batch"
    ) -> None:
        messages: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in values.items()]
        sending.send_batch(self._topics[STATES], partition, messages, batch.confirmed)

    async def _confirmed(self, send: Callable[[Sending], None]) -> None:
        loop = asyncio.get_running_loop()
        confirmation: asyncio.Future[str | None] = loop.create_future()
        sending = Sending(self._producer)
        self._pulse.check()
        send(sending)
        sending.finish(lambda failure: loop.call_soon_threadsafe(partial(confirmation.set_result, failure)))
        failure = await confirmation
        if failure is not None:
            raise Transient(f"Kafka did not take a record: {failure}")

    async def _check(self, topic: Topic, partition: int, batch: "_Batch", count: int) -> None:
        """A batch lies right behind the one before it, as one piece.

        Raises
        ------
        Transient
            It does not, because another worker writes into the partition: this one must start again from the log.
        """
        expected = self._next.get((topic, partition), batch.first)
        self._next[topic, partition] = batch.last + 1
        if (batch.first, batch.last) != (expected, expected + count - 1):
            await self.examine(topic, partition, expected, batch.last + 1, count)

    async def examine(self, topic: Topic, partition: int, first: int, end: int, ours: int) -> None:
        """Look at records among which only ``ours`` should be a worker's; anything else in them is only reported."""
        records = await patiently(records_between, self._settings, topic, partition, first, end)
        written = sum(map(is_message if topic is ALERTS else is_state, records))
        if written != ours:
            raise Transient(
                f"another worker writes into {topic.name}, partition {partition}, offsets {first} to {end - 1}; "
                "this one starts again from the log"
            )
        structlog.get_logger().warning(
            "records that no worker wrote lie in a topic of ours; they change nothing",
            topic=topic.name,
            partition=partition,
            first=first,
            last=end - 1,
        )


def is_state(record: Message) -> bool:
    """Whether a record of ``customer-states`` was written by a worker."""
    value = record.value()
    return value is None or is_piece(record.key() or b"") or applied_of(value) is not None


class _Batch:
    """Where the records of a batch were put."""

    def __init__(self) -> None:
        self.first = -1
        self.last = -1

    def confirmed(self, offset: int) -> None:
        """One of its records, in the order of the log."""
        self.first = offset if self.first < 0 else self.first
        self.last = offset
