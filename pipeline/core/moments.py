"""Moments as integers: milliseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """A moment as integer milliseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MILLISECOND
