"""What leaves the worker: alerts, dead letters and the state's changelog, each confirmed by the broker.

librdkafka delivers; one thread serves its callbacks; a batch wakes the event loop once, when all of it is confirmed.
A record that cannot be delivered is fatal for the worker: it must not commit past it.
A compressed record may be larger than any topic takes once it is read; of such a dead letter the first 16 MiB are kept.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from pipeline import __version__
from pipeline.config import Settings
from pipeline.core.alerts import ChurnAlert
from pipeline.core.customer import Customer, encode_state
from pipeline.errors import Transient
from pipeline.flow import DeadLetter
from pipeline.kafka import Headers, Sending, producer
from pipeline.topics import ALERTS, DEAD_LETTERS, ERROR_HEADERS, MAX_RECORD_BYTES, STATES
from pipeline.worker.pulse import Pulse

_alert_encoder = msgspec.json.Encoder()


class KafkaOutputs:
    """Implements :class:`pipeline.flow.Outputs` on Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = producer(settings, "worker")
        self._topics = {topic: settings.topic(topic.name) for topic in (ALERTS, STATES, DEAD_LETTERS)}
        self._pulse = Pulse()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="outputs", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    async def effects(self, alerts: Sequence[ChurnAlert], dead: Sequence[DeadLetter]) -> None:
        """Send alerts and dead letters; return when the broker has them."""
        if alerts or dead:
            await self._confirmed(lambda sending: self._send_effects(sending, alerts, dead))

    async def states(self, partition: int, changed: Mapping[bytes, Customer]) -> None:
        """Send changed customers to the changelog's same partition; return when the broker has them."""
        if changed:
            await self._confirmed(lambda sending: self._send_states(sending, partition, changed))

    def _send_effects(self, sending: Sending, alerts: Sequence[ChurnAlert], dead: Sequence[DeadLetter]) -> None:
        for alert in alerts:
            sending.send(self._topics[ALERTS], alert.customer_id.encode(), _alert_encoder.encode(alert))
        for letter in dead:
            sending.send(
                self._topics[DEAD_LETTERS],
                letter.record.key,
                letter.record.value and letter.record.value[:MAX_RECORD_BYTES],
                error_headers(letter, self._settings),
            )

    def _send_states(self, sending: Sending, partition: int, changed: Mapping[bytes, Customer]) -> None:
        for key, customer in changed.items():
            sending.send(self._topics[STATES], key, encode_state(customer), partition=partition)

    async def _confirmed(self, send: Callable[[Sending], None]) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()
        sending = Sending(self._producer)
        self._pulse.check()
        send(sending)
        sending.finish(lambda failure: loop.call_soon_threadsafe(partial(done.set_result, failure)))
        failure = await done
        if failure is not None:
            raise Transient(f"Kafka did not take a record: {failure}")

    def close(self) -> None:
        """Stop serving callbacks; everything handed over was confirmed before its slice counted as done."""
        self._stopping.set()
        self._thread.join(2)


def error_headers(letter: DeadLetter, settings: Settings) -> Headers:
    """The original headers, then where the record came from and why it was rejected."""
    errors = {
        "topic": settings.topic(letter.topic),
        "partition": str(letter.partition),
        "offset": str(letter.record.offset),
        "appended_at_ms": str(letter.record.appended_at_ms),
        "reason": letter.reason.value,
        "detail": letter.detail,
        "bytes": str(len(letter.record.value or b"")),
        "version": __version__,
    }
    original = [(name, value) for name, value in letter.record.headers if not name.startswith(ERROR_HEADERS)]
    return [*original, *((ERROR_HEADERS + name, text.encode()) for name, text in errors.items())]
