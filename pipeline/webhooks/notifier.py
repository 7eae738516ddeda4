"""The notifier: alerts to the webhooks of other systems, at least once, each under one id with one body.

The order of steps is what the guarantee rests on:

1. read alerts of a partition
2. for every enabled endpoint that wants one, make the message; its id is made of the alert and its place in the log
3. write the messages down as pending, in the partition of the alert, confirmed
4. commit the offset behind the alerts; only then do the messages queue
5. attempt, when the message is the first of its alert and its endpoint's queue lets it
6. write the attempt into the log, confirmed
7. write down that the message is no longer pending, or until when it is, confirmed

A crash before 4 makes the same messages again, under the same keys. A crash after 4 finds them in ``webhook-pending``,
which is read to its end before anything is sent; after 5 the same body is sent again under the same id. A notifier that
loses a partition forgets what is in its memory; one that was frozen past its session ends itself before it sends.

Nothing is told of what is held out, known from imported history, or of a customer who was erased. A group that never
committed begins at the end of the log, and a rebuild writes no alerts: so neither tells anybody anything.
"""

import asyncio
import math
import time
from collections.abc import Mapping

import structlog

from pipeline.continuity import Topics
from pipeline.core.state.suppression import digest_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Transient
from pipeline.records import Record
from pipeline.webhooks import schedule
from pipeline.webhooks.endpoints import wants
from pipeline.webhooks.intake import Fetched, Intake
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import WRITER_HEADER, Outbox
from pipeline.webhooks.pending import Pending, alert_in, decoded, pending_for, silence_about
from pipeline.webhooks.senders import Senders
from pipeline.webhooks.shapes import Delivery, request_of

LOOK_SECONDS = 1.0
"""How often the file of endpoints, the list of erased customers and the lag are looked at."""
LONGEST_WAIT = max(schedule.DELAYS_SECONDS) * (1 + schedule.JITTER) + schedule.MOST_PATIENCE_MS / 1000
"""How many seconds a message waits at most between two attempts."""


class Notifier:
    """Reads alerts and remembers what is pending; senders deliver it."""

    def __init__(
        self,
        intake: Intake,
        outbox: Outbox,
        senders: Senders,
        suppressions: Suppressions,
        facts: NotifierMetrics,
        crash: CrashPoints,
        topics: Topics,
    ) -> None:
        self._intake = intake
        self._outbox = outbox
        self._senders = senders
        self._suppressions = suppressions
        self._facts = facts
        self._crash = crash
        self._topics = topics
        self._loading: dict[int, dict[bytes, Pending]] = {}
        """What is pending in partitions that are not read to their end yet, by the keys of the records."""
        self._generation = 0
        self._erased = 0
        self._stopping = False
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """Read and begin nothing any more."""
        self._stopping = True

    async def run(self) -> None:
        """Work until :meth:`stop`."""
        self._intake.join()
        async with asyncio.TaskGroup() as tasks:
            self._senders.run_in(tasks)
            looked = -math.inf
            while not self._stopping:
                if time.monotonic() - looked > LOOK_SECONDS:
                    await self._look_around()
                    looked = time.monotonic()
                fetched = await asyncio.to_thread(self._intake.fetch)  # 1
                self._follow_generation()
                self._remember(fetched)
                if fetched.read:
                    await self._give_up_erased(looked_before=0)
                await self._take(fetched.alerts)
            await self._senders.end()

    def _follow_generation(self) -> None:
        if self._intake.generation != self._generation:
            self._generation = self._intake.generation
            self._loading = {number: {} for number in self._intake.partitions}
            self._senders.forget()
        self._facts.became_ready(not self._loading and bool(self._generation))

    def _remember(self, fetched: Fetched) -> None:
        """Take what is pending: all of it while a partition is loaded, then what others write there."""
        now_ms, now = int(time.time() * 1000), time.monotonic()
        for partition, records in fetched.pending.items():
            for record in records:
                self._remember_one(partition, record, now_ms, now)
        for partition in fetched.read:
            for pending in sorted(self._loading.pop(partition, {}).values(), key=lambda one: one.sequence):
                self._senders.queue(pending)
            self._facts.became_ready(not self._loading)

    def _remember_one(self, partition: int, record: Record, now_ms: int, now: float) -> None:
        loading = self._loading.get(partition)
        if loading is None and dict(record.headers).get(WRITER_HEADER) == self._outbox.writer:
            return
        key = record.key or b""
        pending = decoded(record.value, partition, now_ms, now, LONGEST_WAIT) if record.value else None
        if loading is not None:
            loading.pop(key, None)
            if pending is not None:
                loading[key] = pending
        elif pending is not None:
            self._senders.queue(pending)
        else:
            self._senders.withdraw(key)

    async def _take(self, alerts: Mapping[int, list[Record]]) -> None:
        """Steps 2 to 4 for the alerts of all partitions."""
        if not any(alerts.values()):
            return
        self._crash.reached(Point.NOTIFIER_READ)
        await self._read_erased()
        if self._stopping:
            return
        messages = [
            message
            for partition, records in alerts.items()
            for record in records
            for message in self._made(partition, record)
        ]  # 2
        await self._outbox.add(messages)  # 3
        self._crash.reached(Point.NOTIFIER_PENDING_CONFIRMED)
        ends = {partition: records[-1].offset + 1 for partition, records in alerts.items() if records}
        if not await asyncio.to_thread(self._intake.commit, self._generation, ends):  # 4
            self._log.warning("partitions were lost; their new owner goes on with them")
            self._intake.discard()
            self._follow_generation()
            return
        self._crash.reached(Point.NOTIFIER_COMMITTED)
        for message in messages:
            self._senders.queue(message)

    def _made(self, partition: int, record: Record) -> list[Pending]:
        """What the endpoints are to get of an alert."""
        alert = alert_in(record.value)
        silence = silence_about(alert)
        if alert is not None and silence is None and self._is_erased(alert.customer_id):
            silence = "erased"
        if alert is None or silence is not None:
            self._facts.kept(silence or "unreadable")
            return []
        made = []
        for endpoint in self._senders.endpoints.values():
            if wants(endpoint, alert):
                pending = pending_for(
                    endpoint, alert, record.value or b"", partition, record.offset, record.appended_at_ms
                )
                delivery = Delivery(message_id=pending.message_id, sequence=pending.sequence, alert=alert)
                if request_of(delivery, endpoint) is not None:
                    made.append(pending)
        return made

    def _is_erased(self, customer_id: str) -> bool:
        return digest_of(customer_id.encode()) in self._suppressions.digests

    async def _read_erased(self) -> None:
        """Know everybody who was erased before the next message is made."""
        while not self._stopping:
            try:
                await asyncio.to_thread(self._suppressions.read)
            except Transient as away:
                self._log.warning("the broker does not answer; waiting", error=str(away))
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    async def _look_around(self) -> None:
        self._facts.alive()
        await self._senders.follow_file()
        try:
            await asyncio.to_thread(self._topics.check)
            await asyncio.to_thread(self._suppressions.read)
        except Transient:
            pass  # away; whoever works will say so
        await self._give_up_erased(self._erased)
        self._facts.lag(self._intake.lag())
        self._senders.observe()

    async def _give_up_erased(self, looked_before: int) -> None:
        """Let nothing be pending about a customer who was erased; looked at whenever the list grew."""
        if len(self._suppressions.digests) != looked_before:
            self._erased = len(self._suppressions.digests)
            await self._senders.give_up(lambda one: self._is_erased(one.customer_id))
