"""Ends a process that stood still so long that another may have its partitions: it must not write what it had in hand.

A process that is frozen past its session (suspended machine, SIGSTOP, a stalled disk) wakes up with slices fetched and
states folded before somebody else went on from them. Sent now, they would stand in the changelog after the newer ones.
So everything that leaves a process asks the pulse first, and the first to ask after a standstill ends the process. A
thread of its own asks too, so that a long slice does not count as a standstill.
"""

import threading
import time

import structlog

from pipeline import watched
from pipeline.exits import Exit, end_process

STANDSTILL_SECONDS = 6.5
"""The session (10 s) counts from the last heartbeat, which may be as old as the interval between two (2 s)."""


class Pulse:
    """Remembers when this process ran last."""

    def __init__(self, process: str = "worker") -> None:
        self._process = process
        self._lock = threading.Lock()
        self._last = time.monotonic()
        watched.live_or_end("pulse", self._beat)

    def _beat(self) -> None:
        while True:
            time.sleep(0.25)
            self.check()

    def check(self) -> None:
        """Return when no long time has passed since the last check; otherwise the process ends here."""
        with self._lock:
            now = time.monotonic()
            gap, self._last = now - self._last, now
            if gap > STANDSTILL_SECONDS:
                structlog.get_logger().critical(
                    f"the {self._process} was frozen and ends itself: another may have its partitions",
                    seconds=round(gap, 1),
                )
                end_process(Exit.FROZEN)
