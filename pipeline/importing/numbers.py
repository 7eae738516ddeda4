"""Parses numbers as people and programs write them, exactly: 1.234,50 and 1 234,50 € and (49.90) and 49,90-.

Nothing is guessed: the mapping says the decimal mark, what may stand between thousands, and which mark of money may
stand next to the number. A minus may stand before or behind, or be a pair of brackets: nothing else can be meant by it.
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import Any, Final

from pipeline.errors import BadEvent, Reason
from pipeline.importing.plan import Source

EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])
"""Products and sums are exact, or they are errors."""
_BLANK = "[ \u00a0\u2009\u202f]"
_SIGN = "[-+\u2212]?"
_THOUSANDS = {" ": _BLANK, "'": "['\u2019]", ",": ",", ".": r"\."}
ONE_SIGN = 1


def parser(source: Source) -> Callable[[str], Decimal | None]:
    """What reads a text as a number; ``None``: it has another form."""
    between = source.thousands if source.thousands is not None else "." if source.decimal == "," else None
    grouped = rf"\d{{1,3}}(?:{_THOUSANDS[between]}\d{{3}})+|" if between is not None else ""
    mark = rf"(?:{re.escape(source.mark.strip())})?" if source.mark is not None else ""
    pattern = re.compile(
        rf"(\()?{_BLANK}*({_SIGN}){_BLANK}*{mark}{_BLANK}*({_SIGN}){_BLANK}*"
        rf"((?:{grouped}\d+)?)(?:{re.escape(source.decimal)}(\d*))?"
        rf"{_BLANK}*{mark}{_BLANK}*({_SIGN}){_BLANK}*(\))?",
        re.ASCII,
    )

    def parsed(text: str) -> Decimal | None:
        found = pattern.fullmatch(text)
        if found is None:
            return None
        opened, *before, whole, part, behind, closed = found.groups()
        signs = [sign for sign in (*before, behind, opened) if sign]
        if not (whole or part) or bool(opened) != bool(closed) or len(signs) > ONE_SIGN:
            return None
        digits = "".join(re.findall(r"\d+", whole, re.ASCII)) or "0"
        sign = "-" if signs and signs[0] in "-\u2212(" else ""
        return Decimal(f"{sign}{digits}.{part}" if part else f"{sign}{digits}")

    return parsed


def plainly(decimal: str) -> Callable[[str], Any]:
    """What recognises a number that only has to be written with a point: most are such, and need no more."""
    return re.compile(rf"-?(0|[1-9]\d*)({re.escape(decimal)}\d+)?", re.ASCII).fullmatch


def form(source: Source) -> str:
    """How a number is written there, for a reject."""
    between = source.thousands if source.thousands is not None else "." if source.decimal == "," else ""
    return f"1{between}234{source.decimal}50" + (f" {source.mark.strip()}" if source.mark else "")


def exact(value: Any) -> Decimal | None:
    """A value of JSON as a number; ``None``: it is none. A JSON number is what it is written as."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except DecimalException:
            return None
    return None


def product(name: str, value: Any, *others: Any) -> str:
    """Numbers multiplied, as a text that is exact.

    Raises
    ------
    BadEvent
        One of them is no number, or the product has too many digits.
    """
    return _put_together(name, EXACT.multiply, value, *others)


def total(name: str, *values: Any) -> str:
    """Numbers added up, as a text that is exact.

    Raises
    ------
    BadEvent
        One of them is no number, or the sum has too many digits.
    """
    return _put_together(name, EXACT.add, *values)


def _put_together(name: str, how: Callable[[Decimal, Decimal], Decimal], *values: Any) -> str:
    numbers = [exact(value) for value in values]
    try:
        first, *rest = [number for number in numbers if number is not None and number.is_finite()]
        if len(rest) + 1 < len(numbers):
            raise ValueError
        for number in rest:
            first = how(first, number)
        return written(first)
    except (ValueError, DecimalException):
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} cannot be computed: not every part is a number") from None


def written(number: Decimal) -> str:
    """A number as text, without an exponent."""
    return f"{number:f}"
