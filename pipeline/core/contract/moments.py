"""Moments as integers: milliseconds since 1970 UTC."""

from datetime import UTC, date, datetime, time
from typing import Final

LAST_OF_A_DAY: Final = time(23, 59, 59, 999_000)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """A moment as integer milliseconds since 1970 UTC."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def instant(at: int) -> datetime:
    """The inverse of :func:`milliseconds`."""
    return datetime.fromtimestamp(at / 1000, UTC)


def to_the_second(moment: datetime) -> str:
    """A moment in UTC as ``2026-01-31T09:30:00Z``."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def iso(moment: datetime) -> str:
    """A moment in UTC as ``2026-01-31T09:30:00.250000Z``, without a fraction where it has none."""
    return moment.isoformat().replace("+00:00", "Z")


def day(at: int) -> str:
    """The day of a moment, as ``2026-01-31``."""
    return instant(at).date().isoformat()


def as_written(text: str) -> datetime:
    """A moment as a person writes it: a day means its end, and without a time zone it is UTC.

    Raises
    ------
    ValueError
        It is no date, and no date and time, in the form of ISO 8601.
    """
    try:
        written = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return datetime.combine(written, LAST_OF_A_DAY, UTC)
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None
