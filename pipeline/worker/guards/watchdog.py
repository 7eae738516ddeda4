"""Ends a worker that stands still, so that whoever supervises it starts a fresh one.

Two things have no bound inside Faust: a recovery that waits for a record that never comes, and an event loop that is
blocked. Both look healthy from outside. A thread watches them; ending the process is safe, because nothing is committed
that is not durable.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable

import structlog

from pipeline import watched
from pipeline.exits import Exit, end_process

PATIENCE_SECONDS = 60.0
STOP_SECONDS = 10.0
"""How long a stop may take."""


class Watchdog:
    """Ends the process when the loop does not tick, or recovery makes no progress, for ``patience`` seconds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        progress: Callable[[], Hashable],
        stopping: Callable[[], bool] = lambda: False,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._loop = loop
        self._progress = progress
        self._stopping = stopping
        self._patience = patience
        self._ready = False
        self._ticked_at = self._moved_at = time.monotonic()
        self._stopping_since: float | None = None
        self._last: Hashable = None

    def start(self) -> None:
        """Watch from now on."""
        watched.live_or_end("watchdog", self._watch)

    def became_ready(self, ready: bool) -> None:
        """The worker consumes, or it has to recover first."""
        self._ready = ready
        self._moved_at = time.monotonic()

    def _watch(self) -> None:
        slept_at = time.monotonic()
        while True:
            time.sleep(1.0)
            now = time.monotonic()
            if now - slept_at > 10:  # the whole process stood still (suspended machine): that is not its fault
                self._ticked_at = self._moved_at = now
            slept_at = now
            if self._is_stopping(now):
                continue
            with contextlib.suppress(RuntimeError):  # closed since we asked: a stop is under way
                self._loop.call_soon_threadsafe(self._tick)
            reason = self.reason(now)
            if reason:
                structlog.get_logger().critical("the worker stands still and ends itself", reason=reason)
                try:
                    for task in asyncio.all_tasks(self._loop):
                        task.print_stack(limit=4)
                finally:
                    end_process(Exit.STUCK)

    def _is_stopping(self, now: float) -> bool:
        """Whether a stop is under way; one that takes too long (the broker may be gone) is cut short."""
        if not (self._stopping() or self._loop.is_closed()):
            return False
        if self._stopping_since is None:
            self._stopping_since = now
        if now - self._stopping_since > STOP_SECONDS:
            structlog.get_logger().warning("the stop took too long and was cut short; nothing uncommitted is lost")
            end_process(Exit.OK)
        return True

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def reason(self, now: float) -> str | None:
        """Why the worker counts as standing still at ``now``, ``None`` when it does not."""
        progress = self._progress()
        if progress != self._last:
            self._last, self._moved_at = progress, now
        if now - self._ticked_at > self._patience:
            return "the event loop is blocked"
        if not self._ready and now - self._moved_at > self._patience:
            return "recovery makes no progress"
        return None
