"""What stands in a cell, as the value of a field. What cannot be read is left as it is: the decoder says what is wrong.

Only a moment is rejected here, because the decoder sees it in UTC: a local time that clocks skipped or showed twice
has no instant, and none is guessed.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pipeline.core.decode import EVENTS, Kind
from pipeline.core.events import Line
from pipeline.errors import BadEvent, Reason
from pipeline.importing.mapping import EPOCHS, Source

Read = Callable[[Any], Any]
"""What stands in a cell, as a value of JSON; ``None``: nothing stands there."""
REMEMBERED = 65_536
"""How many texts of moments are remembered, for dates come again and again."""
_COMMA = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")
_WHOLE = re.compile(r"[-+]?\d{1,18}")
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def readers(kind: Kind, sources: dict[str, Source]) -> dict[str, Read]:
    """How each field of a kind of event is read."""
    types = {f.name: f.type for f in msgspec.inspect.type_info(EVENTS[kind]).fields}  # type: ignore[attr-defined]
    types |= {f.name: f.type for f in msgspec.inspect.type_info(Line).fields}  # type: ignore[attr-defined]
    return {name: _reader(name, source, types.get(name)) for name, source in sources.items()}


def _reader(name: str, source: Source, declared: Any) -> Read:
    read = _of_type(name, source, declared)
    chosen, otherwise = source.values, source.otherwise

    def translated(value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if text is None or text == "":
            return None
        known = chosen.get(str(_text(text)), otherwise)
        return read(text) if known is None else known

    return translated


def _of_type(name: str, source: Source, declared: Any) -> Read:
    kinds = {type(part) for part in getattr(declared, "types", (declared,))}
    if msgspec.inspect.DateTimeType in kinds:
        return _moment(name, source)
    if name == "amount":
        return _with_point if source.decimal == "," else _as_it_is
    if msgspec.inspect.FloatType in kinds:
        return lambda value: _number(_with_point(value) if source.decimal == "," else value)
    return next((read for plain, read in _PLAIN if plain in kinds), _as_it_is)


def _as_it_is(value: Any) -> Any:
    return value


def _with_point(value: Any) -> Any:
    """1.234,50 as 1234.50; what has another form is left as it is, and is no amount then."""
    if not isinstance(value, str):
        return value
    return value.replace(".", "").replace(",", ".") if _COMMA.fullmatch(value) else f"{value} with a decimal comma"


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


def _truth(value: Any) -> Any:
    return _WORDS.get(str(value).lower(), value) if isinstance(value, str | int) else value


def _text(value: Any) -> Any:
    """A number, or true and false, as JSON and CSV write them; a list or an object is no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


_PLAIN: tuple[tuple[type, Read], ...] = (
    (msgspec.inspect.IntType, _whole),
    (msgspec.inspect.BoolType, _truth),
    (msgspec.inspect.StrType, _text),
)


def _moment(name: str, source: Source) -> Read:
    zone = ZoneInfo(source.zone) if source.zone is not None else None
    per_second = EPOCHS.get(source.format or "")
    parse = _parser(source.format)

    @lru_cache(REMEMBERED)
    def instant(text: str) -> str:
        try:
            if per_second is not None:
                return datetime.fromtimestamp(float(text) / per_second, UTC).isoformat()
            found = parse(text)
        except (ValueError, OverflowError, OSError):
            form = source.format or "2026-11-01T09:30:00Z"
            raise BadEvent(Reason.DATATYPE_MISMATCH, f"$.{name} does not have the form {form}") from None
        return _in_utc(name, found, zone).isoformat()

    return lambda value: instant(str(value))


_PARTS = {"%Y": "year", "%m": "month", "%d": "day", "%H": "hour", "%M": "minute", "%S": "second"}


def _parser(form: str | None) -> Callable[[str], datetime]:
    """How texts of a form become moments; ``strptime`` is slow, and most forms hold nothing but digits."""
    if form is None:
        return datetime.fromisoformat
    parts = re.findall(r"%.", form)
    if len(set(parts)) < len(parts) or not set(parts) <= _PARTS.keys() or not {"%Y", "%m", "%d"} <= set(parts):
        return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - its zone is looked at afterwards
    digits = r"(\d{2})" if re.search(r"%.%.", form) else r"(\d{1,2})"  # side by side they have no end of their own
    pattern = re.compile(
        "".join(
            r"(\d{4})" if piece == "%Y" else digits if piece in _PARTS else re.escape(piece)
            for piece in re.split(r"(%.)", form)
        ),
        re.ASCII,
    )
    names = [_PARTS[part] for part in parts]

    def parsed(text: str) -> datetime:
        found = pattern.fullmatch(text)
        if found is None:
            raise ValueError(form)
        return datetime(**dict(zip(names, map(int, found.groups()), strict=True)))  # type: ignore[arg-type] # noqa: DTZ001

    return parsed


def _in_utc(name: str, found: datetime, zone: ZoneInfo | None) -> datetime:
    """A moment in UTC.

    Raises
    ------
    BadEvent
        Nobody can say which moment it is: no zone is known, or clocks skipped or showed that time twice.
    """
    if found.tzinfo is not None:
        return _converted(name, found)
    if zone is None:
        raise BadEvent(Reason.DATATYPE_MISMATCH, f"$.{name} has no time zone; name it in the mapping: zone")
    here = found.replace(tzinfo=zone)
    before, after = here.utcoffset(), here.replace(fold=1).utcoffset()
    if before == after or before is None or after is None:
        return _converted(name, here)
    was = "showed it twice" if before > after else "skipped it"
    raise BadEvent(Reason.INCONSISTENT, f"$.{name} is no moment in {zone.key}: clocks {was}")


def _converted(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} is at the end of the calendar") from None
