"""Converts a cell into the value of a field. A cell that cannot be read stays as it is: the decoder reports the reason.

Only a moment and an amount are rejected here: the decoder sees the one in UTC and the other with a decimal point.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pipeline.core.contract.decode import Kind
from pipeline.errors import BadEvent, Reason
from pipeline.importing import numbers
from pipeline.importing.meaning import Sort, sort_of
from pipeline.importing.moments import moment
from pipeline.importing.plan import Source

Read = Callable[[Any], Any]
"""What stands in a cell, as a value of JSON; ``None``: nothing stands there."""
_FLOATING = re.compile(r"(-?\d+)\.0+", re.ASCII)
_WORDS = {"true": True, "1": True, "false": False, "0": False}
LONGEST_NUMBER = 18
"""Characters of a number that is no amount; a longer one is left as the text it is."""
LARGEST_EXACT = 2**53
"""Whole numbers below it are exact as floats."""


def reader(kind: Kind, name: str, source: Source) -> Read:
    """How a field of a kind of event is read."""
    read = _of_sort(name, source, sort_of(kind, name))
    chosen, otherwise = source.values, source.otherwise
    text_of = cell(source.case, whole=source.whole) if source.case is not None or source.whole else None

    def translated(value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if text_of is not None:
            text = text_of(text)
        if text is None or text == "":
            return chosen.get("")
        known = chosen.get(str(as_text(text)), otherwise) if chosen else otherwise
        return read(text) if known is None else known

    return translated


def cell(case: str | None = None, *, whole: bool = False) -> Read:
    """What stands in a cell, without blanks around it, in the case and the form that were asked for."""

    def read(value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if whole:
            text = _without_point(text)
        if case is not None and isinstance(text, str):
            return text.lower() if case == "lower" else text.upper()
        return text

    return read


def _without_point(value: Any) -> Any:
    """17850.0 as 17850, whether it is a text or a number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_EXACT:
        return int(value)
    found = _FLOATING.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found is not None else value


def _of_sort(name: str, source: Source, sort: Sort) -> Read:
    match sort:
        case Sort.MOMENT:
            return moment(name, source)
        case Sort.AMOUNT:
            return _amount(name, source)
        case Sort.NUMBER | Sort.WHOLE:
            return _number(source)
        case Sort.TRUTH:
            return lambda value: _WORDS.get(str(value).lower(), value) if isinstance(value, str | int) else value
        case Sort.TEXT:
            return as_text


def as_text(value: Any) -> Any:
    """A number, or true and false, as JSON and CSV write them; a list or an object is no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _amount(name: str, source: Source) -> Read:
    """A text of the form that the mapping says becomes one with a decimal point; a number of JSON is what it is."""
    parse, form, is_plain = numbers.parser(source), numbers.form(source), numbers.plainly(source.decimal)

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if is_plain(value) is not None:
            return value.replace(",", ".")
        found = parse(value)
        if found is None:
            raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} does not have the form {form} (decimal, thousands, mark)")
        return numbers.written(found)

    return read


def _number(source: Source) -> Read:
    parse = numbers.parser(source)

    def read(value: Any) -> Any:
        found = parse(value) if isinstance(value, str) and len(value) <= LONGEST_NUMBER else None
        return value if found is None else plain(found)

    return read


def plain(number: Decimal) -> int | float:
    """A number as JSON has it: a whole one without a point."""
    return int(number) if number == number.to_integral_value() else float(number)
