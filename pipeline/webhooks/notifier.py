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
import gc
import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import structlog
from confluent_kafka import KafkaException

from pipeline import continuity, kafka, logs, metrics, retries
from pipeline.config import Settings
from pipeline.core.state.suppression import digest_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import LoyaltyError, Refused, Transient
from pipeline.exits import Exit, end_process
from pipeline.records import Record
from pipeline.retries import retry
from pipeline.topics import ALERTS, EVERY_TOPIC
from pipeline.webhooks import schedule
from pipeline.webhooks.endpoints import Endpoint, EndpointFile, wants
from pipeline.webhooks.inbound import Inbound
from pipeline.webhooks.intake import Fetched, Intake
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import WRITER_HEADER, Outbox
from pipeline.webhooks.own_ports import own_ports
from pipeline.webhooks.pending import Pending, alert_in, decoded, pending_for, silence_about
from pipeline.webhooks.sender import STOP_SECONDS, Sender
from pipeline.webhooks.shapes import Delivery, request_of

LEAVE_SECONDS = 15.0
"""How long a stop may take."""
LOOK_SECONDS = 1.0
"""How often the file of endpoints, the list of erased customers and the lag are looked at."""
LONGEST_WAIT = max(schedule.DELAYS_SECONDS) * (1 + schedule.JITTER) + schedule.MOST_PATIENCE_MS / 1000
"""How many seconds a message waits at most between two attempts."""


class Notifier:
    """Reads alerts, remembers what is pending, and lets a sender for each endpoint deliver it."""

    def __init__(
        self,
        intake: Intake,
        outbox: Outbox,
        endpoints: EndpointFile,
        suppressions: Suppressions,
        facts: NotifierMetrics,
        crash: CrashPoints,
        topics: continuity.Topics,
        listens: Collection[tuple[str, int]],
    ) -> None:
        self._intake = intake
        self._outbox = outbox
        self._file = endpoints
        self._suppressions = suppressions
        self._facts = facts
        self._crash = crash
        self._topics = topics
        self._listens = listens
        self._stamp: tuple[int, ...] | None = None
        self._endpoints: dict[str, Endpoint] = {}
        self._senders: dict[str, Sender] = {}
        self._loading: dict[int, dict[bytes, Pending]] = {}
        self._generation = 0
        self._erased = 0
        self._stopping = False
        self._tasks: asyncio.TaskGroup
        self._sending: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints as they were last read."""
        return self._endpoints

    def stop(self) -> None:
        """Read and begin nothing any more."""
        self._stopping = True

    async def run(self) -> None:
        """Work until :meth:`stop`."""
        self._intake.join()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            looked = -math.inf
            while not self._stopping:
                if time.monotonic() - looked > LOOK_SECONDS:
                    await self._look_around()
                    looked = time.monotonic()
                fetched = await asyncio.to_thread(self._intake.fetch)  # 1
                self._follow_generation()
                self._remember(fetched)
                await self._take(fetched.alerts)
            await self._end_senders()

    async def _end_senders(self) -> None:
        """An attempt that takes too long when all is to end is made again by the next start."""
        for sender in self._senders.values():
            sender.stop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=STOP_SECONDS)
        for sender in self._senders.values():
            sender.cut()

    def _follow_generation(self) -> None:
        if self._intake.generation != self._generation:
            self._generation = self._intake.generation
            self._loading = {number: {} for number in self._intake.partitions}
            for sender in self._senders.values():
                sender.forget()
        self._facts.became_ready(not self._loading and bool(self._generation))

    def _remember(self, fetched: Fetched) -> None:
        """Take what is pending: all of it while a partition is loaded, then what others write there."""
        now_ms, now = int(time.time() * 1000), time.monotonic()
        for partition, records in fetched.pending.items():
            for record in records:
                self._remember_one(partition, record, now_ms, now)
        for partition in fetched.read:
            for pending in sorted(self._loading.pop(partition, {}).values(), key=lambda one: one.sequence):
                self._queue(pending)
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
            self._queue(pending)
        else:
            for sender in self._senders.values():
                for other in sender.queue.having(lambda one: one.key == key):
                    sender.queue.remove(other)

    def _queue(self, pending: Pending) -> None:
        sender = self._senders.get(pending.endpoint)
        if sender is None and pending.endpoint not in self._endpoints:
            sender = self._sender_of(_removed(pending.endpoint))
        if sender is not None:
            sender.add(pending)

    async def _take(self, alerts: Mapping[int, list[Record]]) -> None:
        """Steps 2 to 4 for the alerts of all partitions."""
        if not alerts:
            return
        self._crash.reached(Point.NOTIFIER_READ)
        await self._read_erased()
        messages = [
            message
            for partition, records in alerts.items()
            for record in records
            for message in self._made(partition, record)
        ]  # 2
        await self._outbox.add(messages)  # 3
        self._crash.reached(Point.NOTIFIER_PENDING_CONFIRMED)
        ends = {partition: records[-1].offset + 1 for partition, records in alerts.items()}
        if not await asyncio.to_thread(self._intake.commit, self._generation, ends):  # 4
            self._log.warning("partitions were lost; their new owner goes on with them")
            self._intake.discard()
            self._follow_generation()
            return
        self._crash.reached(Point.NOTIFIER_COMMITTED)
        for message in messages:
            self._queue(message)

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
        for endpoint in self._endpoints.values():
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
        await self._read_endpoints()
        try:
            await asyncio.to_thread(self._topics.check)
            await asyncio.to_thread(self._suppressions.read)
            await self._drop_erased()
        except Transient:
            pass  # away; whoever works will say so
        await self._drop_removed()
        self._facts.lag(self._intake.lag())
        waiting = [pending for sender in self._senders.values() for pending in sender.queue]
        self._facts.pending(len(waiting), min((pending.appended_at_ms for pending in waiting), default=None))
        self._facts.endpoints(Counter(map(self._state_of, self._endpoints.values())))

    def _state_of(self, endpoint: Endpoint) -> str:
        if not endpoint.enabled:
            return "disabled"
        sender = self._senders.get(endpoint.id)
        return "away" if sender is not None and sender.queue.away else "enabled"

    async def _drop_erased(self) -> None:
        """Let nothing be pending about a customer who was erased; looked at whenever the list grew."""
        if len(self._suppressions.digests) == self._erased:
            return
        self._erased = len(self._suppressions.digests)
        for sender in self._senders.values():
            for pending in sender.queue.having(lambda one: self._is_erased(one.customer_id)):
                sender.queue.remove(pending)
                await self._outbox.settle(pending)

    async def _read_endpoints(self) -> None:
        """Go by the file of endpoints as it is now; where it cannot be used, by what was known before."""
        try:
            stamp = self._file.stamp()
            if stamp == self._stamp:
                return
            if not stamp and self._endpoints:
                raise Refused("it is not there any more")
            endpoints = self._file.read()
        except (LoyaltyError, OSError) as failed:
            self._log.error("the file of endpoints cannot be used; those known before are", error=str(failed))
            self._facts.file_refused(True)
            return
        self._stamp = stamp
        self._facts.file_refused(False)
        self._endpoints = endpoints
        for endpoint in endpoints.values():
            sender = self._sender_of(endpoint)
            if sender.endpoint != endpoint:
                sender.replaced(endpoint)
        for gone in self._senders.keys() - endpoints.keys():
            self._senders[gone].replaced(_removed(gone))

    async def _drop_removed(self) -> None:
        """Nothing is pending for an endpoint that is not in the file. One that is not there says nothing of any."""
        if not self._stamp:
            return
        for name, sender in self._senders.items():
            if name not in self._endpoints:
                for pending in sender.queue.having(lambda _: True):
                    sender.queue.remove(pending)
                    await self._outbox.settle(pending)

    def _sender_of(self, endpoint: Endpoint) -> Sender:
        sender = self._senders.get(endpoint.id)
        if sender is None:
            sender = Sender(endpoint, self._listens, self._outbox, self._facts, self._crash, self._disable)
            self._senders[endpoint.id] = sender
            self._sending.append(self._tasks.create_task(sender.run()))
        return sender

    def _disable(self, endpoint: Endpoint) -> None:
        """An endpoint said that it wants no more: nothing is sent to it until somebody enables it. Told once."""

        def disabled(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
            now = endpoints.get(endpoint.id)
            if now is None or not now.enabled:
                return endpoints
            self._log.warning(
                "an endpoint answered 410 and is disabled; enable it: loyalty webhooks enable", endpoint=endpoint.id
            )
            return endpoints | {endpoint.id: _disabled(now)}

        self._senders[endpoint.id].replaced(_disabled(endpoint))
        try:
            self._endpoints = self._file.change(disabled)
        except (LoyaltyError, OSError) as failed:
            self._log.error("an endpoint that answered 410 cannot be disabled in the file", error=str(failed))


def _disabled(endpoint: Endpoint) -> Endpoint:
    return msgspec.structs.replace(
        endpoint, enabled=False, disabled_because="it answered 410 Gone", disabled_at=datetime.now(UTC)
    )


def _removed(name: str) -> Endpoint:
    """What stands for an endpoint that is in no file any more: it is sent nothing."""
    return Endpoint(id=name, url="", enabled=False, created_at=datetime.fromtimestamp(0, UTC))


def _stop(notifier: Notifier) -> None:
    """Ask it to stop; a stop that takes too long (the broker may be gone) is cut short: what is pending is in Kafka."""
    notifier.stop()
    deadline = threading.Timer(LEAVE_SECONDS, end_process, (Exit.OK,))
    deadline.daemon = True
    deadline.start()


def _too_old(settings: Settings) -> dict[tuple[str, int], int]:
    """Alerts that left their topic before they were read are nobody's news any more: none of them is missed."""
    return dict.fromkeys(((ALERTS.name, number) for number in range(settings.partitions)), 2**62)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended the others."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def _serve(settings: Settings, notifier: Notifier, inbound: Inbound | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, notifier)
    if inbound is not None:
        await inbound.start(settings.inbound_listen, settings.inbound_port)
    try:
        await notifier.run()
    finally:
        if inbound is not None:
            await inbound.stop()


def run(settings: Settings) -> None:
    """Run a notifier until SIGTERM or SIGINT."""
    logs.configure("notifier")
    crash = CrashPoints.from_env(os.environ)
    kafka.verify_topics(settings, EVERY_TOPIC)
    made = metrics.registry("notifier")
    metrics.serve(made, settings.listen, settings.notifier_metrics_port)
    facts = NotifierMetrics(made)
    endpoints = EndpointFile(settings.webhooks)
    endpoints.read()  # one that cannot be used ends the start, with its reason
    with closing(Suppressions(settings)) as suppressions:
        topics = retry(  # a broker that has just started does not know the group yet
            retries.COORDINATOR,
            Transient,
            lambda: continuity.agreed(settings, suppressions, "notifier", _too_old(settings)),
        )
        outbox = Outbox(settings, crash)
        with closing(Intake(settings, topics.bases)) as intake:
            notifier = Notifier(intake, outbox, endpoints, suppressions, facts, crash, topics, own_ports(settings))
            inbound = Inbound(settings, lambda: notifier.endpoints, outbox, facts) if settings.inbound_port else None
            gc.freeze()  # what is there now stays
            structlog.get_logger().info("notifier ready", endpoints=len(endpoints.read()))
            try:
                asyncio.run(_serve(settings, notifier, inbound))
            except* LoyaltyError as ended:
                raise _first(ended) from None
            except* KafkaException as failed:
                raise Transient(f"Kafka ended the notifier's membership: {_first(failed)}") from None
