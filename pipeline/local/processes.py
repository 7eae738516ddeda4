"""Child processes: started so that they die with us, watched, restarted, stopped in order."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from pipeline.errors import Refused, Transient

STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
MAX_LOG_BYTES = 5_000_000
"""How large the log of a process gets before it is set aside; of those set aside the last is kept."""


@dataclass(slots=True)
class Child:
    """One process of the stack: how it is started, how one sees that it is ready, and how it went."""

    name: str
    command: Callable[[], Sequence[str]]
    is_ready: Callable[[], bool]
    log: Path
    environment: Mapping[str, str]
    ready_seconds: float = 60.0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    started_at: float = 0.0
    given_up: bool = False
    """It refuses to run, or dies again and again: it is tried again, but seldom."""
    reason: str = ""
    """Why it does not run, as long as it does not."""
    restarts: int = 0
    failures: int = 0
    """How often it ended, since it last ran for a while."""
    due: float | None = None
    """When it is started again."""

    def start(self) -> None:
        """Start the process; its output goes to its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        _libc()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, loaded before the fork
            )
        self.started, self.started_at = time.monotonic(), time.time()

    def wait_ready(self) -> float:
        """Wait until it is ready; returns the seconds since it was started.

        Raises
        ------
        Refused
            It ended instead; the message is its own last word.
        Transient
            It was not ready in time.
        """
        started = self.started
        while not self.is_ready():
            if self.exit_code() is not None:
                raise Refused(f"{self.name} ended at once: {self.last_words()} (log: {self.log})")
            if time.monotonic() - started > self.ready_seconds:
                raise Transient(f"{self.name} was not ready within {self.ready_seconds:.0f} s (log: {self.log})")
            time.sleep(0.05)
        return time.monotonic() - started

    def record(self) -> dict[str, object]:
        """What another command needs to know about it."""
        running = self.process is not None and self.process.poll() is None
        return {
            "pid": self.process.pid if self.process else None,
            "started": self.started_at if running else 0.0,
            "restarts": self.restarts,
            "given_up": self.given_up,
            "reason": self.reason,
        }

    def exit_code(self) -> int | None:
        """Its exit code, ``None`` while it runs."""
        return self.process.poll() if self.process is not None else None

    @property
    def _set_aside(self) -> Path:
        return self.log.with_suffix(".log.1")

    def set_log_aside(self) -> None:
        """Keep the log small: what is in it becomes its predecessor, and it begins again, while the process writes.

        Lines that come between the two are lost. Where there is no room for a copy, there is none.
        """
        kept = self._set_aside
        try:
            if self.log.stat().st_size <= MAX_LOG_BYTES:
                return
            try:
                shutil.copyfile(self.log, kept)
            except OSError:
                kept.unlink(missing_ok=True)
            os.truncate(self.log, 0)
        except OSError:
            return  # no log, or a folder that is gone: the process does not need it

    def last_words(self) -> str:
        """The last line of its log that says something."""
        lines = _last_lines(self._set_aside) + _last_lines(self.log)
        return _readable(lines[-1]) if lines else "no output"

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait_stopped(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until it has ended; after ``seconds`` it is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8_192))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []


def _readable(line: str) -> str:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.strip()[:500]
    return ": ".join(str(entry[key]) for key in ("event", "error") if key in entry)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Linux tells the child to stop when its parent dies, however that happens."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def stop_all(stages: Sequence[Sequence[Child]]) -> None:
    """Stop stage by stage, the processes of a stage together."""
    for stage in stages:
        for child in stage:
            child.signal(signal.SIGTERM)
        for child in stage:
            child.wait_stopped()
