"""Threads that must live as long as their process: each ends it with a reason, or starts again.

Rules
-----
- None ends in silence. Whatever a thread raises, also what a library makes of a closed terminal (``SystemExit``), ends
  the process with its reason, or is told, and the work begins again after a pause that doubles up to a bound.
- :func:`live_or_end`: what the guarantees rest on. Without it the process must not go on.
- :func:`live_again`: who only looks. A missing topic or a full disk costs it a round, not its life.
"""

import logging
import threading
import time
from collections.abc import Awaitable, Callable

from pipeline.errors import LoyaltyError
from pipeline.exits import Exit, end_process

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
"""Seconds until work that died begins again: the first, and what doubling it ends at."""

_log = logging.getLogger(__name__)


def live_or_end(name: str, work: Callable[[], object]) -> threading.Thread:
    """Work in a thread of its own; whatever it raises ends the process."""

    def run() -> None:
        try:
            work()
        except BaseException as failed:  # also SystemExit: a thread that is gone helps nobody
            _end(name, failed)

    return _started(name, run)


def live_again(
    name: str,
    work: Callable[[], object],
    died: Callable[[], object] = lambda: None,
    stopping: threading.Event | None = None,
) -> threading.Thread:
    """Work in a thread of its own until it returns; when it raises, ``died`` is told and it begins again."""
    over = stopping or threading.Event()

    def run() -> None:
        pause = FIRST_PAUSE
        while not over.is_set():
            begun = time.monotonic()
            try:
                work()
            except BaseException as failed:  # as above; here the work goes on
                pause = FIRST_PAUSE if time.monotonic() - begun > LONGEST_PAUSE else pause
                _log.error("%s died and begins again: %s", name, reason_of(failed), exc_info=failed)
                died()
            else:
                return
            over.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    return _started(name, run)


async def or_end(name: str, work: Awaitable[object], stopping: Callable[[], bool]) -> None:
    """Wait for what must not fail; whatever it raises ends the process, unless that is stopping anyway."""
    try:
        await work
    except Exception as failed:  # nothing that fails unforeseen may go on
        if not stopping():
            _end(name, failed)


def reason_of(failed: BaseException) -> str:
    """What is told of a failure: what it says, after what it is unless it is one of ours."""
    return str(failed) if isinstance(failed, LoyaltyError) else f"{type(failed).__name__}: {failed}"


def _end(name: str, failed: BaseException) -> None:
    known = isinstance(failed, LoyaltyError)
    try:
        _log.critical(
            "%s died, and the process with it: %s", name, reason_of(failed), exc_info=None if known else failed
        )
    finally:
        end_process(failed.exit_code if isinstance(failed, LoyaltyError) else Exit.CRASHED)


def _started(name: str, run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
