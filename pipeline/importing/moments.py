"""Converts texts into moments in UTC.

Rules
-----
- A local time that clocks skipped or showed twice has no instant, and none is guessed.
- A date is no moment: it stands for the beginning of that day, also where midnight was skipped or came twice.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.errors import BadEvent, Reason
from pipeline.importing.meaning import EPOCHS
from pipeline.importing.plan import Source

Read = Callable[[Any], Any]
REMEMBERED = 65_536
"""How many texts of moments are remembered, for dates come again and again."""
LONGEST = 80
"""Characters of a text that can be a moment."""
_PARTS = {"%Y": "year", "%m": "month", "%d": "day", "%H": "hour", "%M": "minute", "%S": "second"}
_OF_THE_DAY = ("%H", "%I", "%c", "%X")


def moment(name: str, source: Source) -> Read:
    """How a field that is a moment is read."""
    zone = ZoneInfo(source.zone) if source.zone is not None else None
    per_second = EPOCHS.get(source.format or "")
    parse = _parser(source.format)
    form = source.format or "2026-11-01T09:30:00Z"

    @lru_cache(REMEMBERED)
    def instant(text: str) -> str:
        try:
            if per_second is not None:
                return datetime.fromtimestamp(float(text) / per_second, UTC).isoformat()
            found = parse(text)
        except (ValueError, OverflowError, OSError):
            raise _formless(name, form) from None
        return _in_utc(name, found, zone).isoformat()

    def read(value: Any) -> str:
        text = str(value)
        if len(text) > LONGEST:
            raise _formless(name, form)
        return instant(text)

    return read


def _formless(name: str, form: str) -> BadEvent:
    return BadEvent(Reason.DATATYPE_MISMATCH, f"$.{name} does not have the form {form}")


Found = datetime | date
"""What was written: a moment, or a day without a time."""


def _parser(form: str | None) -> Callable[[str], Found]:
    """How texts of a form become moments; ``strptime`` is slow, and most forms hold nothing but digits."""
    if form is None:
        return _iso
    has_time = any(part in form for part in _OF_THE_DAY)
    parts = re.findall(r"%.", form)
    if len(set(parts)) < len(parts) or not set(parts) <= _PARTS.keys() or not {"%Y", "%m", "%d"} <= set(parts):
        whole: Callable[[str], datetime] = lambda text: datetime.strptime(text, form)  # noqa: DTZ007, E731 - see _in_utc
    else:
        whole = _of_digits(form, [_PARTS[part] for part in parts])
    return whole if has_time else lambda text: whole(text).date()


def _iso(text: str) -> Found:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _of_digits(form: str, names: list[str]) -> Callable[[str], datetime]:
    digits = r"(\d{2})" if re.search(r"%.%.", form) else r"(\d{1,2})"  # side by side they have no end of their own
    pattern = re.compile(
        "".join(
            r"(\d{4})" if piece == "%Y" else digits if piece in _PARTS else re.escape(piece)
            for piece in re.split(r"(%.)", form)
        ),
        re.ASCII,
    )

    def parsed(text: str) -> datetime:
        found = pattern.fullmatch(text)
        if found is None:
            raise ValueError(form)
        return datetime(**dict(zip(names, map(int, found.groups()), strict=True)))  # type: ignore[arg-type] # noqa: DTZ001

    return parsed


def _in_utc(name: str, found: Found, zone: ZoneInfo | None) -> datetime:
    """A moment in UTC.

    Raises
    ------
    BadEvent
        Nobody can say which moment it is: no zone is known, or clocks skipped or showed that time twice.
    """
    if isinstance(found, datetime) and found.tzinfo is not None:
        return _converted(name, found)
    if zone is None:
        raise BadEvent(Reason.DATATYPE_MISMATCH, f"$.{name} has no time zone; name it in the mapping: zone")
    if not isinstance(found, datetime):
        return _beginning(name, found, zone)
    here = found.replace(tzinfo=zone)
    before, after = here.utcoffset(), here.replace(fold=1).utcoffset()
    if before == after or before is None or after is None:
        return _converted(name, here)
    was = "showed it twice" if before > after else "skipped it"
    raise BadEvent(Reason.INCONSISTENT, f"$.{name} is no moment in {zone.key}: clocks {was}")


def _beginning(name: str, day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day: where clocks went from 0 to 1 it is 1 o'clock, where midnight came twice the first."""
    first = _converted(name, datetime.combine(day, time(), zone))
    if first.astimezone(zone).date() != day:
        raise BadEvent(Reason.INCONSISTENT, f"$.{name} is no day in {zone.key}: clocks skipped it")
    return first


def _converted(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} is at the end of the calendar") from None
