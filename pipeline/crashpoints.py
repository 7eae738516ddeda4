"""Crash points: places where a test can kill the process, to prove that the order of steps keeps its guarantees.

``CRASH_AT=name:n`` in the environment kills the process (SIGKILL) when it comes through the place ``name`` for the
``n``-th time. Without the variable a place costs one comparison.
"""

import os
import signal
from collections.abc import Mapping
from enum import StrEnum

from pipeline.errors import Refused

VARIABLE = "CRASH_AT"


class Point(StrEnum):
    """Every place, in the order in which a record, or an erasure, passes them."""

    RECOVERY_BATCH = "recovery-batch"
    EFFECTS_SENT = "effects-sent"
    EFFECTS_CONFIRMED = "effects-confirmed"
    PIECES_CONFIRMED = "pieces-confirmed"
    STATES_SENT = "states-sent"
    STATES_CONFIRMED = "states-confirmed"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    SINK_BEFORE_INTENT = "sink-before-intent"
    SINK_INTENT_RECORDED = "sink-intent-recorded"
    SINK_MID_INSERT = "sink-mid-insert"
    SINK_INSERTED = "sink-inserted"
    SINK_COMMITTED = "sink-committed"
    ERASE_NOTED = "erase-noted"
    ERASE_SUPPRESSED = "erase-suppressed"
    ERASE_HEEDED = "erase-heeded"
    ERASE_MID_DELETION = "erase-mid-deletion"
    ERASE_DELETED = "erase-deleted"
    ERASE_VERIFIED = "erase-verified"
    IMPORT_SENDING = "import-sending"
    IMPORT_SENT = "import-sent"
    IMPORT_NOTED = "import-noted"
    REFOLD_DONE = "refold-done"
    REFOLD_ALONE = "refold-alone"
    REFOLD_TOLD = "refold-told"
    REFOLD_SENT = "refold-sent"
    REBUILD_FILLED = "rebuild-filled"
    REBUILD_CARRIED = "rebuild-carried"
    REBUILD_SWAPPING = "rebuild-swapping"
    REBUILD_EXCHANGED = "rebuild-exchanged"
    REBUILD_COMMITTED = "rebuild-committed"
    NOTIFIER_READ = "notifier-read"
    NOTIFIER_PENDING_SENT = "notifier-pending-sent"
    NOTIFIER_PENDING_CONFIRMED = "notifier-pending-confirmed"
    NOTIFIER_COMMITTED = "notifier-committed"
    NOTIFIER_ATTEMPTED = "notifier-attempted"
    NOTIFIER_LOGGED = "notifier-logged"
    NOTIFIER_SETTLED = "notifier-settled"
    ACCEPT_RESTORED = "accept-restored"
    ACCEPT_GIVEN_UP = "accept-given-up"
    ACCEPT_RESET = "accept-reset"
    ACCEPT_REMEMBERED = "accept-remembered"


class CrashPoints:
    """Counts how often the chosen place is passed."""

    def __init__(self, point: Point | None = None, count: int = 1) -> None:
        self._point = point
        self._left = count

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "CrashPoints":
        """The place named in the environment, or none.

        Raises
        ------
        Refused
            There is no such place, or no whole number after the colon.
        """
        text = env.get(VARIABLE, "")
        if not text:
            return cls()
        name, _, count = text.partition(":")
        if name not in set(Point) or not count.isdecimal() or int(count) < 1:
            raise Refused(f"{VARIABLE} must be one of {', '.join(Point)}, with :n after it, not {text!r}")
        return cls(Point(name), int(count))

    def reached(self, point: Point) -> None:
        """The process passes ``point``; it may not survive that."""
        if point is not self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
