"""Checks whether a mapping makes sense: contradictions and useless options are refused before any row is read."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pipeline.core.contract.decode import EVENTS, Kind
from pipeline.errors import Refused
from pipeline.importing.plan import Condition, FileForm, Plan, Source

OURS: Final = ("event_id", "backfill")
"""Fields that a mapping does not fill: one has a table of its own, the other is what an import means."""
LINE: Final = ("category", "quantity")
"""Columns that together are a line of a purchase."""
EPOCHS: Final = {"unix": 1, "unix_ms": 1_000}
"""Formats of a moment that is a number: how many of it are a second."""


class Sort(Enum):
    """What kind of value a field takes."""

    MOMENT = "a moment"
    AMOUNT = "an amount"
    NUMBER = "a number"
    WHOLE = "a whole number"
    TRUTH = "true or false"
    TEXT = "a text"


_OF_NUMBERS = ("decimal", "thousands", "mark", "times", "factor")
ASKED: Final = {
    Sort.MOMENT: ("format", "zone"),
    Sort.AMOUNT: _OF_NUMBERS,
    Sort.NUMBER: _OF_NUMBERS,
    Sort.WHOLE: _OF_NUMBERS,
    Sort.TRUTH: ("case",),
    Sort.TEXT: ("case", "whole"),
}
"""The options that say how it is written."""
OPTIONS: Final = ("case", "whole", "format", "zone", "decimal", "thousands", "mark", "times", "factor")
_SORTS: Final = (
    (msgspec.inspect.DateTimeType, Sort.MOMENT),
    (msgspec.inspect.FloatType, Sort.NUMBER),
    (msgspec.inspect.IntType, Sort.WHOLE),
    (msgspec.inspect.BoolType, Sort.TRUTH),
)


def sort_of(kind: Kind, name: str) -> Sort:
    """What a field takes; a field of the refund is like that of the purchase."""
    name = name.removeprefix("refund.")
    if name in ("amount", "quantity"):
        return Sort.AMOUNT if name == "amount" else Sort.WHOLE
    types = {f.name: f.type for f in msgspec.inspect.type_info(EVENTS[kind]).fields}  # type: ignore[attr-defined]
    declared = types.get(name)
    kinds = {type(part) for part in getattr(declared, "types", (declared,))}
    return next((sort for plain, sort in _SORTS if plain in kinds), Sort.TEXT)


def check(plan: "Plan") -> None:
    """Refuse what cannot be meant.

    Raises
    ------
    Refused
        With what to write instead.
    """
    _check_fields(plan)
    for name, source in plan.sources.items():
        _check_source(name, source, sort_of(plan.kind, name))
    _check_form(plan.file)
    for condition in plan.leave_out:
        _check_condition(condition)
    for table in ("order", "refund"):
        if getattr(plan, table) is not None and plan.kind != "purchase":
            raise Refused(f"[{table}] is for purchases; {plan.kind} has none")
    if plan.order is not None and plan.identity.column is None and plan.identity.columns is None:
        raise Refused(
            'with [order], [event_id] needs columns that all its rows share: column = "the number of the order"'
        )
    if plan.identity.column is None and (plan.identity.case or plan.identity.whole):
        raise Refused('[event_id] case and whole are for an id of its own: column = "..."')


def _check_fields(plan: "Plan") -> None:
    declared = {f.name: f for f in msgspec.structs.fields(EVENTS[plan.kind])}
    allowed = [name for name in declared if name not in OURS]
    allowed += LINE if plan.kind == "purchase" else ()
    for name in plan.fields:
        if name not in allowed:
            raise Refused(f"{plan.kind} has no field {name!r} to fill; it has {', '.join(allowed)}")
    missing = [n for n, f in declared.items() if f.required and n not in plan.fields and n not in OURS]
    if missing:
        raise Refused(f"{plan.kind} needs {', '.join(missing)}; name the column of each under [fields]")
    if "quantity" in plan.fields and "category" not in plan.fields:
        raise Refused("quantity needs category: what was bought so often")


def _check_source(name: str, source: "Source", sort: Sort) -> None:
    if (source.column is None) == (source.constant is None):
        raise Refused(f"field {name} needs a column or a constant, and only one of them")
    said = [option for option in OPTIONS if getattr(source, option) not in (None, False)]
    idle = [option for option in said if option not in ASKED[sort] and (option, source.decimal) != ("decimal", ".")]
    if idle:
        asked = ", ".join(ASKED[sort])
        raise Refused(f"field {name} is {sort.value}: {idle[0]} says nothing about it; it may have {asked}")
    if said != ["decimal"] and source.column is None:
        raise Refused(f"field {name} is a constant: {said[-1]} says nothing about it; write it as it is meant")
    if source.decimal not in (".", ","):
        raise Refused(f'field {name}: decimal is "." or ","')
    if source.thousands is not None and (
        source.thousands not in (".", ",", " ", "'") or source.thousands == source.decimal
    ):
        raise Refused(f'field {name}: thousands is ",", ".", " " or "\'", and another sign than decimal')
    if source.mark is not None and (not source.mark.strip() or re.search(r"[\d+-]", source.mark)):
        raise Refused(f'field {name}: mark is what stands beside a number, such as mark = "€"')
    _check_zone(name, source)
    if source.format is not None and source.format not in EPOCHS:
        _check_format(name, source.format)
        if "%z" not in source.format and source.zone is None:
            raise Refused(f'field {name}: {source.format} says no time zone; name it: zone = "Europe/Berlin", or "UTC"')


def _check_zone(name: str, source: "Source") -> None:
    if source.zone is None:
        return
    try:
        ZoneInfo(source.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"field {name}: no time zone {source.zone!r} is known here; write one as Europe/Berlin") from None


_PROBE: Final = datetime(2024, 10, 25, 16, 17, 18, 190_000, tzinfo=UTC)
"""An afternoon, so that a format which loses half of the day does not read it back."""


def _check_format(name: str, form: str) -> None:
    """A format can be meant when it reads back what it writes, to the day, the minute, or finer."""
    directives = set(re.findall(r"%(.)", form))
    if "Z" in directives:
        raise Refused(
            f"field {name}: %Z names a zone by letters that stand for several; write them out in the format, as in "
            f'"%Y-%m-%d %H:%M:%S UTC", and say zone = "UTC"; or export offsets (%z)'
        )
    if "p" in directives and "I" not in directives:
        raise Refused(
            f"field {name}: %p counts for hours of 12 only; write %I instead of %H: {form.replace('%H', '%I')}"
        )
    try:
        found = datetime.strptime(_PROBE.strftime(form), form)  # noqa: DTZ007 - only its parts are looked at
    except (ValueError, re.error):
        raise Refused(
            f"field {name}: the format {form} cannot be read; it is made of %Y %m %d %H %M %S, and %y %b %B %j %I with "
            "%p, %f %z, each once"
        ) from None
    whole = _PROBE.replace(tzinfo=None)
    finer = {"microsecond": 0, "second": 0, "minute": 0, "hour": 0}
    levels = [whole.replace(**dict(list(finer.items())[:count])) for count in range(5)]  # type: ignore[arg-type]
    if found.replace(tzinfo=None) not in levels:
        raise Refused(
            f"field {name}: the format {form} does not say which moment it is; it needs a year, a month and a day, "
            "hours where there are minutes, and %p with %I"
        )


def _check_form(form: "FileForm") -> None:
    if len(form.delimiter) != 1:
        raise Refused('[file] delimiter must be one character, such as delimiter = ";"')
    if form.escape is not None and len(form.escape) != 1:
        raise Refused(r"""[file] escape must be one character, such as escape = '\'""")
    if form.footer < 0:
        raise Refused("[file] footer is how many rows at the end are none, such as footer = 1")
    try:
        "".encode(form.encoding)
    except (LookupError, ValueError):
        raise Refused(f"no encoding is called {form.encoding!r}; write one as windows-1252") from None


def _check_condition(condition: "Condition") -> None:
    said = [condition.equals, condition.differs_from, condition.starts_with, condition.empty]
    if sum(each is not None for each in said) != 1:
        raise Refused(
            '[[leave_out]] needs one of equals = "...", differs_from = "...", starts_with = "..." (or lists of them), '
            "and empty = true or false"
        )
    if condition.starts_with is not None and not all(listed(condition.starts_with)):
        raise Refused("[[leave_out]] starts_with must not be empty: every row does")


def listed(said: "str | Iterable[str]") -> tuple[str, ...]:
    """One text or several, as several."""
    return (said,) if isinstance(said, str) else tuple(said)
