"""What a notifier writes into Kafka; each call returns when the broker has confirmed it.

Everything goes into the partition of its alert, and says which process wrote it: whoever reads a partition of
``webhook-pending`` passes over what it wrote itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Literal
from uuid import uuid4

import msgspec
from msgspec import Struct

from pipeline import kafka, watched
from pipeline.config import Settings
from pipeline.core.risk.messages import Transition
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import Transient
from pipeline.kafka.self_fencing import Pulse
from pipeline.topics import OUTCOMES, WEBHOOK_ATTEMPTS, WEBHOOK_PENDING
from pipeline.webhooks.pending import Pending, encoded

WRITER_HEADER = "__loyalty.writer"
"""The header of a record of ``webhook-pending`` that says which process wrote it."""
Outcome = Literal["delivered", "retry", "gone", "given-up"]
"""What an attempt came to. ``gone``: the endpoint wants no more; ``given-up``: the message is not tried again."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt to deliver a message; names no customer and holds nothing secret."""

    message_id: str
    endpoint: str
    alert_id: str
    sequence: int
    transition: Transition
    number: int
    """1 for the first."""
    at: datetime
    outcome: Outcome
    status: int | None
    """The HTTP status of the answer, ``None`` without one."""
    error: str
    """Why there was no answer, or why it is not tried again; empty where the status says all."""
    seconds: float
    answer: str
    """The beginning of the answer, printable."""
    next_at: datetime | None
    """When the next attempt is due; ``None``: there is none."""


_encoder = msgspec.json.Encoder()


class Outbox:
    """A producer, and the order in which its records are confirmed."""

    def __init__(self, settings: Settings, crash: CrashPoints) -> None:
        self._crash = crash
        self._pending = settings.topic(WEBHOOK_PENDING.name)
        self._attempts = settings.topic(WEBHOOK_ATTEMPTS.name)
        self._outcomes = settings.topic(OUTCOMES.name)
        self._producer = kafka.producer(settings, "notifier", **{"linger.ms": 1})
        self._pulse = Pulse("notifier")
        self.writer = uuid4().hex.encode()
        watched.live_or_end("outbox", self._serve)

    def _serve(self) -> None:
        while True:
            self._producer.poll(0.1)

    def check_alive(self) -> None:
        """End the process if it stood still so long that another may have its partitions."""
        self._pulse.check()

    async def add(self, pending: Sequence[Pending]) -> None:
        """Write messages down as pending."""
        if pending:
            await self._confirmed(partial(self._send_pending, pending=pending))

    def _send_pending(self, sending: kafka.Sending, pending: Sequence[Pending]) -> None:
        for one in pending:
            self._send(sending, one, encoded(one))
        self._crash.reached(Point.NOTIFIER_PENDING_SENT)

    def _send(self, sending: kafka.Sending, pending: Pending, value: bytes | None) -> None:
        sending.send(self._pending, pending.key, value, [(WRITER_HEADER, self.writer)], pending.partition)

    async def log(self, attempt: Attempt, partition: int) -> None:
        """Write an attempt into the log."""
        value, key = _encoder.encode(attempt), attempt.alert_id.encode()
        await self._confirmed(lambda sending: sending.send(self._attempts, key, value, None, partition))

    async def settle(self, *pending: Pending) -> None:
        """Write down that messages are not pending any more."""

        def send(sending: kafka.Sending) -> None:
            for one in pending:
                self._send(sending, one, None)

        await self._confirmed(send)

    async def reschedule(self, pending: Pending, due_at_ms: int) -> None:
        """Write down when a message is sent again."""
        await self._confirmed(lambda sending: self._send(sending, pending, encoded(pending, due_at_ms)))

    async def outcome(self, customer_id: str, value: bytes) -> None:
        """Write an outcome that a ticket system reported."""
        await self._confirmed(lambda sending: sending.send(self._outcomes, customer_id.encode(), value))

    async def _confirmed(self, send: Callable[[kafka.Sending], object]) -> None:
        """Hand over records and wait until the broker has them.

        Raises
        ------
        Transient
            It did not take one.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()
        sending = kafka.Sending(self._producer)
        self.check_alive()
        send(sending)
        sending.finish(lambda failure: loop.call_soon_threadsafe(_set, done, failure))
        failure = await done
        if failure is not None:
            raise Transient(f"Kafka did not take a record: {failure}")


def _set(done: "asyncio.Future[str | None]", failure: str | None) -> None:
    if not done.done():  # whoever waited for it may have been cancelled
        done.set_result(failure)
