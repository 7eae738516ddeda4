"""The queue of one endpoint: which message is sent next, and how many at once. Pure: the moment is an argument.

Rules
-----
- Messages about one alert leave in the order of their sequence: a later one waits until the earlier one is delivered
  or given up. Different alerts do not wait for each other.
- After :data:`FAILURES` attempts in a row that did not deliver, the endpoint counts as away: nothing is sent but one
  probe after a pause, which doubles. The first delivery closes the outage; then 1, 2, 4 … messages may be under way at
  once, up to :data:`WIDTH`, so that what has piled up does not fall on the receiver at once.
- A receiver that asked to be left alone is, whatever else is due.

Times are seconds of a monotonic clock, so that a wall clock that is set makes nothing early or late.
"""

import heapq
from bisect import insort
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final

from pipeline.webhooks.pending import Pending

WIDTH: Final = 8
"""How many messages may be under way to an endpoint at once."""
FAILURES: Final = 3
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
"""Seconds until an endpoint that is away is probed: the first, and what doubling it ends at."""


class EndpointQueue:
    """What waits for one endpoint."""

    def __init__(self) -> None:
        self._alerts: dict[str, list[Pending]] = {}
        self._due: list[tuple[float, int, str]] = []
        """When which alert's first message is due; entries that are no longer right are passed over."""
        self._under_way: dict[str, Pending] = {}
        self._allowed = WIDTH
        self._failures = 0
        self._closed_until = 0.0
        self._pause = FIRST_PAUSE
        self._size = 0

    def __len__(self) -> int:
        """How many messages wait or are under way."""
        return self._size

    def __iter__(self) -> Iterator[Pending]:
        """Every message."""
        for waiting in self._alerts.values():
            yield from waiting

    @property
    def away(self) -> bool:
        """Whether the endpoint counts as away."""
        return self._failures >= FAILURES

    def add(self, pending: Pending) -> None:
        """Queue a message; one that is there already changes nothing."""
        waiting = self._alerts.setdefault(pending.alert_id, [])
        if any(other.sequence == pending.sequence for other in waiting):
            return
        insort(waiting, pending, key=attrgetter("sequence"))
        self._size += 1
        self._offer(pending.alert_id)

    def _offer(self, alert_id: str) -> None:
        """Put an alert's first message in line."""
        if alert_id not in self._under_way and (waiting := self._alerts.get(alert_id)):
            heapq.heappush(self._due, (waiting[0].due, waiting[0].sequence, alert_id))

    def take(self, now: float) -> Pending | None:
        """The next message that may be sent now; it is under way until :meth:`settle` or :meth:`again`."""
        if now < self._closed_until or len(self._under_way) >= self._width():
            return None
        while self._due and self._due[0][0] <= now:
            due, sequence, alert_id = heapq.heappop(self._due)
            if not self._is_first(due, sequence, alert_id):
                continue
            self._under_way[alert_id] = self._alerts[alert_id][0]
            return self._under_way[alert_id]
        return None

    def _width(self) -> int:
        return 1 if self.away else self._allowed

    def _is_first(self, due: float, sequence: int, alert_id: str) -> bool:
        waiting = self._alerts.get(alert_id)
        if not waiting or alert_id in self._under_way:
            return False
        return (waiting[0].due, waiting[0].sequence) == (due, sequence)

    def next_at(self) -> float | None:
        """When :meth:`take` is to be asked next, unless something is settled or added before; ``None``: not before."""
        while self._due and not self._is_first(*self._due[0]):
            heapq.heappop(self._due)
        if not self._due or len(self._under_way) >= self._width():
            return None
        return max(self._due[0][0], self._closed_until)

    def settle(self, pending: Pending, *, delivered: bool) -> None:
        """A message that was under way is done: delivered, or given up."""
        self._under_way.pop(pending.alert_id, None)
        self.remove(pending)
        if delivered:
            self._allowed = 1 if self.away else min(WIDTH, 2 * self._allowed)
            self._failures, self._closed_until, self._pause = 0, 0.0, FIRST_PAUSE

    def again(self, pending: Pending, due: float) -> None:
        """A message that was under way is to be sent again at ``due``."""
        self._under_way.pop(pending.alert_id, None)
        pending.due = due
        self._offer(pending.alert_id)

    def failed(self, now: float, alone_seconds: float = 0.0) -> None:
        """An attempt did not deliver; the receiver may have asked to be left alone for a while."""
        self._failures += 1
        if self.away and now >= self._closed_until:  # others that were under way with it say nothing new
            self._closed_until = now + self._pause
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        self._closed_until = max(self._closed_until, now + alone_seconds if alone_seconds else 0.0)

    def remove(self, pending: Pending) -> None:
        """Take a message out, if it is there."""
        waiting = self._alerts.get(pending.alert_id, [])
        kept = [other for other in waiting if other.sequence != pending.sequence]
        self._size -= len(waiting) - len(kept)
        if kept:
            self._alerts[pending.alert_id] = kept
            self._offer(pending.alert_id)
        else:
            self._alerts.pop(pending.alert_id, None)

    def clear(self) -> None:
        """Forget every message; how the endpoint is stays known."""
        self._alerts, self._due, self._under_way, self._size = {}, [], {}, 0

    def having(self, wanted: Callable[[Pending], bool]) -> list[Pending]:
        """The messages for which a claim holds and that are not under way."""
        under_way = {id(pending) for pending in self._under_way.values()}
        return [pending for pending in self if id(pending) not in under_way and wanted(pending)]
