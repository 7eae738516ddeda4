"""The endpoints as their file has them, and a sender for each: who comes, goes, is changed, disabled or gone.

Rules
-----
- The file is followed within seconds. One that cannot be used, or is not there any more, changes nothing.
- What is pending for an endpoint that was taken out of the file is given up; for one that is disabled it waits.
- An endpoint that answers 410 is disabled in the file, by whoever of the notifiers is first, with one notice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime

import structlog
from msgspec import structs

from pipeline.crashpoints import CrashPoints
from pipeline.errors import LoyaltyError, Refused
from pipeline.webhooks.endpoints import Endpoint, EndpointFile
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Outbox
from pipeline.webhooks.pending import Pending
from pipeline.webhooks.sender import STOP_SECONDS, Sender


class Senders:
    """All senders; they run as tasks of one group, which fails when one of them does."""

    def __init__(
        self,
        file: EndpointFile,
        listens: Collection[tuple[str, int]],
        outbox: Outbox,
        facts: NotifierMetrics,
        crash: CrashPoints,
    ) -> None:
        self._file = file
        self._listens = listens
        self._outbox = outbox
        self._facts = facts
        self._crash = crash
        self._stamp: tuple[int, ...] | None = None
        self._senders: dict[str, Sender] = {}
        self._tasks: asyncio.TaskGroup
        self._running: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()
        self.endpoints: Mapping[str, Endpoint] = {}
        """The endpoints as they were last read."""

    def run_in(self, tasks: asyncio.TaskGroup) -> None:
        """Where senders run."""
        self._tasks = tasks

    async def end(self) -> None:
        """Begin no attempt any more; one that takes too long is made again by the next start."""
        for sender in self._senders.values():
            sender.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_SECONDS)
        for sender in self._senders.values():
            sender.cut()

    def forget(self) -> None:
        """The partitions are lost, and with them everything that is pending in them."""
        for sender in self._senders.values():
            sender.forget()

    def queue(self, pending: Pending) -> None:
        """Send a message as soon as it is due."""
        if pending.endpoint in self._senders:
            self._senders[pending.endpoint].add(pending)
        else:
            self._sender_of(self.endpoints.get(pending.endpoint) or _removed(pending.endpoint)).add(pending)

    def withdraw(self, key: bytes) -> None:
        """A message is not pending any more, by what somebody else wrote."""
        for sender in self._senders.values():
            for pending in sender.queue.having(lambda one: one.key == key):
                sender.queue.remove(pending)

    async def give_up(self, wanted: Callable[[Pending], bool]) -> None:
        """Let no message be pending for which a claim holds, but those that are under way."""
        given_up = []
        for sender in self._senders.values():
            for pending in sender.queue.having(wanted):
                sender.queue.remove(pending)
                given_up.append(pending)
        if given_up:
            await self._outbox.settle(*given_up)

    async def follow_file(self) -> None:
        """Go by the file of endpoints as it is now; where it cannot be used, by what was known before."""
        try:
            stamp = self._file.stamp()
            endpoints = None if stamp == self._stamp else self._file.read()
            if not stamp and self.endpoints:
                raise Refused("it is not there any more")
        except (LoyaltyError, OSError) as failed:
            self._log.error("the file of endpoints cannot be used; those known before are", error=str(failed))
            self._facts.file_refused(True)
            return
        self._stamp = stamp
        self._facts.file_refused(False)
        if endpoints is not None:
            self._replace(endpoints)
        if stamp and self._senders.keys() - self.endpoints.keys():
            await self.give_up(lambda one: one.endpoint not in self.endpoints)

    def _replace(self, endpoints: Mapping[str, Endpoint]) -> None:
        self.endpoints = endpoints
        for endpoint in endpoints.values():
            self._sender_of(endpoint).replaced(endpoint)
        for name in self._senders.keys() - endpoints.keys():
            self._senders[name].replaced(_removed(name))

    def _sender_of(self, endpoint: Endpoint) -> Sender:
        sender = self._senders.get(endpoint.id)
        if sender is None:
            sender = Sender(endpoint, self._listens, self._outbox, self._facts, self._crash, self._disable)
            self._senders[endpoint.id] = sender
            self._running.append(self._tasks.create_task(sender.run()))
        return sender

    def _disable(self, endpoint: Endpoint) -> None:
        """An endpoint said that it wants no more: nothing is sent to it until somebody enables it."""

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
            self._replace(self._file.change(disabled))
        except (LoyaltyError, OSError) as failed:
            self._log.error("an endpoint that answered 410 cannot be disabled in the file", error=str(failed))

    def _pending(self) -> Iterator[Pending]:
        for sender in self._senders.values():
            yield from sender.queue

    def observe(self) -> None:
        """Tell how things stand."""
        moments = [pending.appended_at_ms for pending in self._pending()]
        self._facts.pending(len(moments), min(moments, default=None))
        self._facts.endpoints(Counter(map(self._state_of, self.endpoints.values())))

    def _state_of(self, endpoint: Endpoint) -> str:
        if not endpoint.enabled:
            return "disabled"
        sender = self._senders.get(endpoint.id)
        return "away" if sender is not None and sender.queue.away else "enabled"


def _disabled(endpoint: Endpoint) -> Endpoint:
    return structs.replace(
        endpoint, enabled=False, disabled_because="it answered 410 Gone", disabled_at=datetime.now(UTC)
    )


def _removed(name: str) -> Endpoint:
    """What stands for an endpoint that is in no file any more: it is sent nothing."""
    return Endpoint(id=name, url="", enabled=False, created_at=datetime.fromtimestamp(0, UTC))
