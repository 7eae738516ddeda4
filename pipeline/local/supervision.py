"""Supervises the stack's processes: restarts each that ends, for as long as the stack runs, or reports why it cannot.

Rules
-----
- A process that ends is started again at once, and with a growing pause when that does not help. After
  :data:`GIVE_UP_AFTER` times, or when it says that an operator is needed, it counts as given up: it is tried every
  :data:`LONGEST_PAUSE` seconds at most, so that it comes back when the cause it named is gone.
- What it said last is the reason; ``stack.json`` and a metric say so until it is ready again.
- Nothing that happens to one process, to a file of ours or to the terminal keeps the others from being looked at.
- The lock file's time says when the processes were last looked at: who looks at the stack can tell.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError

from pipeline import metrics, watched
from pipeline.errors import LoyaltyError
from pipeline.exits import Exit
from pipeline.local.processes import Child

FREE_MB_NEEDED = 500
LOOK_SECONDS = 0.2
GIVE_UP_AFTER = 5
STEADY_SECONDS = 60.0
"""How long a process runs before its earlier ends are forgotten."""
GIVEN_UP_PAUSE = 5.0
LONGEST_PAUSE = 30.0
"""Seconds until a process that was given up is tried again: the first, and what doubling it ends at."""
CHORES_SECONDS = 1.0
DISK_SECONDS = 30.0


def pause_after(failures: int, refused: bool) -> float:
    """Seconds until a process that has ended ``failures`` times in a row is started again."""
    seldom = failures - 1 if refused else failures - GIVE_UP_AFTER - 1
    if seldom < 0:
        return 0.5 * failures
    return float(min(LONGEST_PAUSE, GIVEN_UP_PAUSE * 2 ** min(seldom, 8)))


def reason_of_end(code: int | None, last_words: str) -> str:
    """Why a process ended: who waits or refuses says it, who was killed could not say anything."""
    said = last_words.removeprefix("loyalty: ")
    if code in (Exit.AWAY, Exit.REFUSED):
        return said
    if code == Exit.OK:
        return "ended (exit code 0)"
    if code is not None and code < 0:
        return f"died (killed by signal {-code})"
    return f"died (exit code {code}): {said}"


class Supervision:
    """Looks at the processes, five times a second; ``write_record`` writes down how they are."""

    def __init__(
        self,
        directory: Path,
        children: Mapping[str, Child],
        facts: metrics.UpMetrics | None,
        say: Callable[[str], None],
        write_record: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._children = children
        self._facts = facts
        self._say = say
        self._write_record = write_record
        self._unwritten = False
        self._stopping = threading.Event()
        self._chores_due = self._disk_due = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        self._thread = watched.live_again("supervision", self._watch, stopping=self._stopping)

    def stop(self) -> None:
        """Start nothing any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """One look at everything."""
        for child in self._children.values():
            self._look_at(child, now)
        if now >= self._chores_due:
            self._chores_due = now + CHORES_SECONDS
            self._do_chores(now)
        if self._unwritten:
            with suppress(OSError):  # a full disk: what stands there is old, and written again with the next look
                self._write_record()
                self._unwritten = False
        if self._facts is not None:
            self._facts.watched()

    def _look_at(self, child: Child, now: float) -> None:
        if child.exit_code() is None:
            self._runs(child, now)
        elif child.due is None:
            self._ended(child, now)
        elif now >= child.due:
            self._start(child, now)

    def _runs(self, child: Child, now: float) -> None:
        if now - child.started > STEADY_SECONDS:
            child.failures = 0
        if child.reason and now - child.started > CHORES_SECONDS and child.is_ready():
            if child.given_up:
                self._say(f"{child.name:<10} runs again")
            child.reason, child.given_up = "", False
            self._tell(child)

    def _ended(self, child: Child, now: float) -> None:
        """Decide when it is started again."""
        code = child.exit_code()
        self._failed(child, now, reason_of_end(code, child.last_words()), refused=code == Exit.REFUSED)

    def _failed(self, child: Child, now: float, reason: str, *, refused: bool) -> None:
        child.failures += 1
        pause = pause_after(child.failures, refused)
        child.due = now + pause
        given_up = refused or child.failures > GIVE_UP_AFTER
        if not child.given_up or reason != child.reason:
            often = f"tried again every {LONGEST_PAUSE:.0f} s (log: {child.log})" if given_up else "starting it again"
            self._say(f"{child.name:<10} {reason}; {often}")
        child.reason, child.given_up = reason, given_up
        self._tell(child)

    def _start(self, child: Child, now: float) -> None:
        child.due = None
        try:
            child.start()
        except (OSError, SubprocessError, LoyaltyError) as failed:  # no room for its log, no memory for a process
            self._failed(child, now, f"cannot be started: {watched.reason_of(failed)}", refused=False)
            return
        child.restarts += 1
        if self._facts is not None:
            self._facts.restarted(child.name)
        self._tell(child)

    def _tell(self, child: Child) -> None:
        self._unwritten = True
        if self._facts is not None:
            self._facts.running(child.name, child.exit_code() is None)
            self._facts.given_up(child.name, child.given_up)

    def _do_chores(self, now: float) -> None:
        for child in self._children.values():
            child.set_log_aside()
        with suppress(OSError):  # the folder is gone; whoever looks finds that out
            os.utime(self._directory / "lock")
            if now >= self._disk_due:
                self._disk_due = now + DISK_SECONDS
                self._warn_about_disk()

    def _warn_about_disk(self) -> None:
        free = shutil.disk_usage(self._directory).free // 1_000_000
        if free < FREE_MB_NEEDED:
            self._say(f"disk       only {free} MB are free in {self._directory}; free some before Kafka stops")
