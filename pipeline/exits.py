"""Exit codes: how a process ends, each code with one meaning.

A supervisor restarts what ends; the code tells it whether another start helps, and tells a person where to look. Only
:func:`leave` and :func:`end_process` end a process of ours. The table in `deploy/README.md` is held to this one. A
process that a signal ends has no code of its own.
"""

import os
import sys
import threading
from contextlib import suppress
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """An exit code; ``meaning`` says what it tells an operator."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        """A code with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done, or stopped when told to"
    FAILED = 1, "the answer is no: a check failed, or the thing asked for does not exist"
    USAGE = 2, "wrong usage of the command"
    AWAY = 3, "a service is unavailable, or another process must finish first; run the same again"
    REFUSED = 4, "an operator is needed; the last log line says why"
    CRASHED = 70, "an unexpected error; only durable work was committed, and another start repeats the rest"
    STUCK = 71, "a worker stood still and ended itself"
    FROZEN = 72, "a worker was frozen for so long that another may hold its partitions"
    UNREPLAYABLE = 73, "a worker cannot load the records of customer-states into its store"
    INTERRUPTED = 130, "Ctrl-C"


def verdict(is_so: bool) -> Exit:
    """The code of a command that was asked whether something is so."""
    return Exit.OK if is_so else Exit.FAILED


def leave(code: Exit | int | str | None) -> NoReturn:
    """End the process as Python does, from its main thread: what is open is closed, what waits is written."""
    raise SystemExit(code)


def end_process(code: Exit) -> NoReturn:
    """End the process here, from any thread, without Python's own shutdown; print the reason before."""
    with suppress(OSError, ValueError):  # nobody may be reading our output any more
        sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float) -> None:
    """End the process, which was told to stop, should it not have ended by then: the broker may be gone."""
    deadline = threading.Timer(seconds, end_process, (Exit.OK,))
    deadline.daemon = True
    deadline.start()
