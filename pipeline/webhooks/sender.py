"""Sends what waits for one endpoint. Every endpoint has a sender, a queue and a client of its own: none delays another.

The steps of one delivery, of those in :mod:`.notifier`:

5. attempt: at most :data:`DEADLINE_SECONDS` for everything
6. the attempt is in the log, confirmed
7. the message is no longer pending, or pending until later, confirmed; only then may the alert's next message leave
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Coroutine
from datetime import UTC, datetime, timedelta

import structlog
from aiohttp import ClientSession
from msgspec import structs

from pipeline.core.risk.messages import ChurnAlert
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import Refused
from pipeline.webhooks import schedule
from pipeline.webhooks.attempt import Answer, client, verdict
from pipeline.webhooks.delivering import deliver
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Attempt, Outbox, Outcome
from pipeline.webhooks.pending import Pending, alert_in
from pipeline.webhooks.queue import EndpointQueue
from pipeline.webhooks.shapes import Delivery

DEADLINE_SECONDS = 20.0
STOP_SECONDS = 5.0
"""How long an attempt that is under way may still take when the notifier stops."""


class Sender:
    """One endpoint's messages, one after the other and side by side as its queue allows."""

    def __init__(
        self,
        endpoint: Endpoint,
        listens: Collection[tuple[str, int]],
        outbox: Outbox,
        facts: NotifierMetrics,
        crash: CrashPoints,
        gone: Callable[[Endpoint], object],
    ) -> None:
        self.endpoint = endpoint
        self.queue = EndpointQueue()
        self._listens = listens
        self._outbox = outbox
        self._facts = facts
        self._crash = crash
        self._gone = gone
        self._generation = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = False
        self._log = structlog.get_logger()

    def add(self, pending: Pending) -> None:
        """Send a message as soon as it is due."""
        self.queue.add(pending)
        self._changed.set()

    def replaced(self, endpoint: Endpoint) -> None:
        """The endpoint was changed: what is attempted from now on goes by the new one."""
        self.endpoint = endpoint
        self._changed.set()

    def forget(self) -> None:
        """The partitions are lost: nothing that waits is sent, and what is under way settles nothing."""
        self._generation += 1
        self.queue.clear()
        self._changed.set()

    def stop(self) -> None:
        """Begin no attempt any more."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Send until :meth:`stop`; then what is under way has a moment to end."""
        while not self._stopping:
            private = self.endpoint.allow_private
            async with client(private, self._listens) as session, asyncio.TaskGroup() as attempts:
                while not self._stopping and self.endpoint.allow_private == private:
                    self._changed.clear()
                    while (pending := self._next()) is not None:
                        self._begin(attempts, self._attempt(session, pending, self._generation))
                    await self._until_due()

    def _begin(self, attempts: asyncio.TaskGroup, attempt: Coroutine[None, None, None]) -> None:
        task = attempts.create_task(attempt)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def cut(self) -> None:
        """End what is under way; its messages are still pending, and are sent again by the next start."""
        for task in self._under_way:
            task.cancel()

    def _next(self) -> Pending | None:
        if self._stopping or not self.endpoint.enabled:
            return None
        return self.queue.take(time.monotonic())

    async def _until_due(self) -> None:
        at = self.queue.next_at() if self.endpoint.enabled else None
        try:
            async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _attempt(self, session: ClientSession, pending: Pending, generation: int) -> None:
        """Steps 5 to 7."""
        alert = alert_in(pending.alert)
        answer = None
        at, begun = datetime.now(UTC), time.monotonic()
        if alert is not None and pending.shape == self.endpoint.shape:
            answer = await self._send(session, pending, alert)  # 5
        self._crash.reached(Point.NOTIFIER_ATTEMPTED)
        if alert is None or answer is None:
            self._log.warning("a message is given up: its endpoint has another shape now", endpoint=pending.endpoint)
            await self._conclude(pending, generation, _NOTHING, "given-up", None)
            return
        pending.attempts += 1
        outcome, wait_ms = _judged(pending, answer)
        attempt = Attempt(
            message_id=pending.message_id,
            endpoint=pending.endpoint,
            alert_id=pending.alert_id,
            sequence=pending.sequence,
            transition=alert.transition,
            number=pending.attempts,
            at=at,
            outcome=outcome,
            status=answer.status,
            error=answer.error,
            seconds=round(time.monotonic() - begun, 4),
            answer=answer.answer,
            next_at=None if wait_ms is None else datetime.now(UTC) + timedelta(milliseconds=wait_ms),
        )
        self._facts.attempted(outcome, attempt.seconds)
        await self._outbox.log(attempt, pending.partition)  # 6
        self._crash.reached(Point.NOTIFIER_LOGGED)
        await self._conclude(pending, generation, answer, outcome, wait_ms)  # 7
        self._crash.reached(Point.NOTIFIER_SETTLED)

    async def _send(self, session: ClientSession, pending: Pending, alert: ChurnAlert) -> Answer | None:
        self._outbox.check_alive()
        endpoint = structs.replace(self.endpoint, language=pending.language)
        delivery = Delivery(message_id=pending.message_id, sequence=pending.sequence, alert=alert)
        if not pending.attempts:
            self._facts.first_attempt(pending.appended_at_ms)
        try:
            return await deliver(session, delivery, endpoint, lambda: datetime.now(UTC), DEADLINE_SECONDS)
        except Refused as refused:  # it has no secret that is valid
            self._log.error("an endpoint cannot be sent anything", endpoint=endpoint.id, error=str(refused))
            return structs.replace(_NOTHING, error="protocol")

    async def _conclude(
        self, pending: Pending, generation: int, answer: Answer, outcome: Outcome, wait_ms: int | None
    ) -> None:
        if generation != self._generation:
            return  # the partition is somebody else's, and with it what is pending there
        if wait_ms is None:
            await self._outbox.settle(pending)
        else:
            await self._outbox.reschedule(pending, int(time.time() * 1000) + wait_ms)
        if generation != self._generation:
            return
        if outcome == "gone":
            self._gone(self.endpoint)
        now = time.monotonic()
        if outcome in ("retry", "given-up"):
            self.queue.failed(now, (answer.retry_after_ms or 0) / 1000)
        if wait_ms is None:
            self.queue.settle(pending, delivered=outcome == "delivered")
        else:
            self.queue.again(pending, now + wait_ms / 1000)
        self._changed.set()


_NOTHING = Answer(status=None, error="", retry_after_ms=None, seconds=0.0, answer="")


def _judged(pending: Pending, answer: Answer) -> tuple[Outcome, int | None]:
    """What an answer means for its message, and after how many milliseconds that is sent again."""
    said = verdict(answer)
    if said in ("delivered", "gone"):
        return said, None
    wait = schedule.next_attempt(pending.attempts, 0, random.random(), answer.retry_after_ms)  # noqa: S311
    return ("given-up", None) if wait is None else ("retry", wait)
