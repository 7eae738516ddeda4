"""Exit codes: how a process ends, each code with one meaning.

Whoever supervises restarts what ends; a code tells the supervisor whether another start helps, and a person where to
look. Only :func:`leave` and :func:`end_process` end a process of ours. The table in `deploy/README.md` is held to this
one. A process that a signal ends has no code of its own.
"""

import os
import sys
from contextlib import suppress
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """An exit code; ``meaning`` says what it tells an operator."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        """A code with its meaning."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    OK = 0, "done, or stopped when told to"
    FAILED = 1, "what was asked is not so: a check found something, or there is no such thing"
    USAGE = 2, "the command was written in a way that it does not know"
    AWAY = 3, "a service is away, or somebody else goes first; the same again helps"
    REFUSED = 4, "an operator is needed; the last line says what for"
    CRASHED = 70, "something unforeseen; nothing that was not durable is committed, and another start reads it again"
    STUCK = 71, "a worker stood still and ended itself"
    FROZEN = 72, "a worker was frozen so long that another may have its partitions"
    UNREPLAYABLE = 73, "the records of customer-states cannot be put into a worker's store"
    INTERRUPTED = 130, "Ctrl-C"


def verdict(is_so: bool) -> Exit:
    """The code of a command that was asked whether something is so."""
    return Exit.OK if is_so else Exit.FAILED


def leave(code: Exit | int | str | None) -> NoReturn:
    """End the process as Python does, from its main thread: what is open is closed, what waits is written."""
    raise SystemExit(code)


def end_process(code: Exit) -> NoReturn:
    """End the process here, from any thread, without what Python does at an end; say the reason before."""
    with suppress(OSError, ValueError):  # nobody may read what we said
        sys.stderr.flush()
    os._exit(code)
