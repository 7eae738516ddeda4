"""Errors that this package raises on purpose, sorted by whose fault they are.

::

    LoyaltyError
    ├── BadEvent      the producer's: this one event cannot be used; it goes to ``dead-letters``
    ├── Transient     nobody's: a service is away; waiting helps
    │   └── Unreachable   it did not answer at the given address
    ├── Refused       the operator's: we will not go on like this; the message names the remedy
    ├── NotFound      the caller's: there is no such customer, alert, or dead letter
    └── NobodyReads   nobody's: whoever read our answer has seen enough

What the operating system refuses (:func:`of_system`) is Transient where space or time fixes it, and otherwise Refused.
Anything else that is raised is a bug, and a bug stops the process.
"""

import errno
from enum import StrEnum

from pipeline.exits import Exit


class Reason(StrEnum):
    """Why an event was rejected. A closed list: it is a metric label and a column."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    UNPARSEABLE = "unparseable"
    TOO_DEEP = "too-deep"
    REQUIRED_MISSING = "required-missing"
    DATATYPE_MISMATCH = "datatype-mismatch"
    OUT_OF_RANGE = "out-of-range"
    INCONSISTENT = "inconsistent"
    FUTURE = "future"
    WRONG_PARTITION = "wrong-partition"
    STATE_UNREADABLE = "state-unreadable"
    REJECTED_BY_WAREHOUSE = "rejected-by-warehouse"


class LoyaltyError(Exception):
    """Anything this package raises on purpose; ``exit_code`` is that of a process it ends."""

    exit_code = Exit.FAILED


class BadEvent(LoyaltyError):
    """One event cannot be used. ``detail`` names the place, never the customer's data."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Transient(LoyaltyError):
    """A service is away; trying again later can succeed."""

    exit_code = Exit.AWAY


class Unreachable(Transient):
    """A service did not answer at the given address."""


class Refused(LoyaltyError):
    """The configuration or the surroundings do not allow going on; the message names the remedy."""

    exit_code = Exit.REFUSED


class NotFound(LoyaltyError):
    """What was asked for does not exist."""


class NobodyReads(LoyaltyError):
    """The reader of standard output went away, as ``head`` does; that is no failure."""

    exit_code = Exit.OK


_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.EAGAIN})


def of_system(failed: OSError) -> LoyaltyError | None:
    """What a refusal of the operating system means for whoever runs us; ``None`` when it is no matter of a file."""
    where = f"{failed.filename}: " if failed.filename is not None else ""
    if failed.errno in _PASSING:
        return Transient(f"{where}{failed.strerror}")
    if where:
        return Refused(f"{where}{failed.strerror}; check the path and who may use it")
    return None
