"""Child processes: started so that they die with us, watched, restarted, stopped in order."""

import ctypes
import os
import re
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
from pipeline.waiting import wait_until

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
    folder: Path | None = None
    ready_seconds: float = 60.0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    started_at: float = 0.0
    log_start: int = 0
    was_set_aside: bool = False
    """Its log began again since it was started."""
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
        command = self.command()
        with self.log.open("ab") as log:
            self.log_start, self.was_set_aside = log.tell(), False
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment,
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
        seconds = started + self.ready_seconds - time.monotonic()
        if not wait_until(self._is_ready_or_ended, seconds=seconds, pause=0.05):
            raise Transient(f"{self.name} was not ready within {self.ready_seconds:.0f} s (log: {self.log})")
        return time.monotonic() - started

    def _is_ready_or_ended(self) -> bool:
        if self.is_ready():
            return True
        if self.exit_code() is not None:
            raise Refused(f"{self.name} ended at once: {self.last_words()} (log: {self.log})")
        return False

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
            self.was_set_aside = True
        except OSError:
            return  # no log, or a folder that is gone: the process does not need it

    def last_words(self) -> str:
        """Why it ended, as far as its log since its start tells."""
        if self.was_set_aside:
            return first_error(_tail(self._set_aside, 0) + _tail(self.log, 0))
        return first_error(_tail(self.log, self.log_start))

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


def _tail(log: Path, since: int) -> str:
    """The end of a log, from ``since`` at most."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - 32_768))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


_LEVEL = "CRITICAL "
_OURS = re.compile(r"loyalty: ")
_RAISED = re.compile(
    r"(?:Exception in thread \S+ )?(?:[a-z_]\w*\.)*[A-Z][\w$]*(?:Error|Exception|Exit|Refused|Interrupt)\b"
)
_BAD = re.compile(r"\b(?:ERROR|FATAL|CRITICAL)\b|^Error\b|^error\b")
_NOISE = re.compile(r"\s|Caused by: |WARNING: |OpenJDK |.*\bWARN(?:ING)?\b|NOTE: |Picked up ")


def first_error(text: str) -> str:
    """The line of a log that says why a process ended.

    That is what our own commands say at their end; else the last exception of a Python process, and the first one of
    a Java process, since what follows that are consequences; else the first line that is no warning.
    """
    said = [_readable(line) for line in text.splitlines() if line.strip()]
    ours = [line for line in said if _OURS.match(line)]
    raised = _raised_by_python(said) or [line for line in said if _RAISED.match(line)]
    bad = [line for line in said if _BAD.search(line)]
    other = [line for line in said if not _NOISE.match(line)]
    for found in (ours[::-1], raised, bad, other, said[::-1]):
        if found:
            return found[0].removeprefix(_LEVEL).strip()[:500]
    return "no output"


def _raised_by_python(lines: Sequence[str]) -> list[str]:
    """What stands below the last traceback."""
    begins = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    return [line for line in lines[begins[-1] + 1 :] if not line.startswith(" ")] if begins else []


def _readable(line: str) -> str:
    """A line; of one of our log lines its words, after its level when that is a bad one."""
    try:
        entry = orjson.loads(line)
        said = ": ".join(str(entry[key]) for key in ("event", "error") if key in entry)
        return f"{_LEVEL}{said}" if str(entry.get("level", "")).lower() in ("error", "critical") else f" {said}"
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return line


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
