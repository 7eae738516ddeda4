"""The slices that wait for a partition, and its state while this worker holds it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.core.reconciliation import AlertReconciler
from pipeline.topics import Topic


class Waiting(NamedTuple):
    """A slice that an agent handed over."""

    topic: Topic
    message: Any


class PartitionQueue:
    """The slices of one partition that wait, in the order in which they came; ``most`` records are taken together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Waiting] = deque()
        self._records = 0
        self._room = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        """The task that works the queue off, while there is something in it."""

    def put(self, waiting: Waiting) -> None:
        """Add a slice."""
        self._waiting.append(waiting)
        self._records += len(waiting.message.value)

    async def has_room(self) -> None:
        """Wait until less waits than can be taken together."""
        while self._records >= self._most:
            self._room.clear()
            await self._room.wait()

    def take(self) -> list[Waiting]:
        """The slices that are folded together next; none when none waits."""
        taken: list[Waiting] = []
        records = 0
        while self._waiting and records < self._most:
            taken.append(self._waiting.popleft())
            records += len(taken[-1].message.value)
        self._records -= records
        self._room.set()
        return taken


@dataclass(slots=True)
class PartitionState:
    """The state of one partition while this worker holds it."""

    reconciler: AlertReconciler
    processed: dict[str, int]
    """The last offset processed of each input topic."""
    settled: int
    """Alerts below this offset are in the state."""
    open: set[bytes] = field(default_factory=set)
    """Customers with an open alert."""
    newest_event_ms: int = 0
    """The latest moment of an event that is in the states: how far time is known to have passed."""
    looked_at: int = 0
    """When open alerts were last looked at again."""
    enforced_until: int = 0
    """Up to where the list of erased customers is in force here."""
