"""Groups rows into units of one event: a row, or the rows of one order; without rows that the mapping excludes.

Rules
-----
- The rows of an order lie together. Lines that lie apart would be an order of their own each, so such a file is refused
  (:func:`apart`) and has to be sorted; so memory is bounded by the longest order.
- Where the rows of an order leave a column empty, conditions read it as in the row above: many shops say what concerns
  the order in its first row only.
- A row that cannot be read may be a line of the order before or behind it: both are rejected with it, for what was paid
  would be wrong.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.importing.delimited import Row, Values
from pipeline.importing.identity import Repeats, content_key
from pipeline.importing.meaning import listed
from pipeline.importing.plan import Condition, Plan
from pipeline.importing.values import as_text

LeftOut = Callable[[str], object]
"""Told why a row is left out."""
MOST_LINES = 1_000
"""More are no order; the decoder says so."""
NEIGHBOUR = "a row next to it cannot be read and may be a line of the same order"


class Unit(NamedTuple):
    """The rows of one event, and what is wrong with them together."""

    rows: tuple[Row, ...]
    problem: str = ""

    @property
    def number(self) -> int:
        """The number of its first row."""
        return self.rows[0].number


def found(values: Values, column: str) -> Any:
    """What stands in a column; in nested JSON a column is a path, such as ``customer.id``."""
    value = values.get(column)
    return _found(values, column)[0] if value is None else value


def has(values: Values, column: str) -> bool:
    """Whether there is such a column, also where nothing stands in it."""
    return _found(values, column)[1]


def _found(values: Values, column: str) -> tuple[Any, bool]:
    if column in values or "." not in column:
        return values.get(column), column in values
    inner: Any = values
    for part in column.split("."):
        if not isinstance(inner, dict) or part not in inner:
            return None, False
        inner = inner[part]
    return inner, True


def units(rows: Iterable[Row], plan: Plan, left_out: LeftOut = lambda why: None) -> Iterator[Unit]:
    """What events are made of, in the order of the file."""
    if plan.file.footer:
        rows = _without_footer(rows, plan.file.footer, left_out)
    if plan.leave_out:
        rows = _wanted(rows, plan, left_out)
    if plan.order is None:
        return (Unit((row,), row.problem) for row in rows)
    return _orders(rows, plan.order.column)


def _without_footer(rows: Iterable[Row], count: int, left_out: LeftOut) -> Iterator[Row]:
    held: deque[Row] = deque()
    for row in rows:
        held.append(row)
        if len(held) > count:
            yield held.popleft()
    for _ in held:
        left_out("at the end of the file")


def _wanted(rows: Iterable[Row], plan: Plan, left_out: LeftOut) -> Iterator[Row]:
    tests = [_test(condition) for condition in plan.leave_out]
    above: Values = {}
    order: str | None = None
    for row in rows:
        if row.problem:
            yield row
            continue
        said = {condition.column: _text(row.values, condition.column) for condition in plan.leave_out}
        if plan.order is not None:
            name = _name(row.values, plan.order.column)
            if name is not None and name == order:
                said = {column: text or above[column] for column, text in said.items()}
            order, above = name, said
        why = next((why for why, holds in tests if holds(said)), None)
        if why is None:
            yield row
        else:
            left_out(why)


def _text(values: Values, column: str) -> str:
    value = found(values, column)
    return "" if value is None else str(as_text(value)).strip()


def _test(condition: Condition) -> tuple[str, Callable[[Values], bool]]:
    """A condition in words, and whether it holds for what stands in the columns of conditions."""
    column = condition.column

    def text(said: Values) -> str:
        return str(said[column])

    if condition.empty is not None:
        wanted = condition.empty
        return f"{column} is {'empty' if wanted else 'not empty'}", lambda values: (text(values) == "") == wanted
    if condition.starts_with is not None:
        starts = listed(condition.starts_with)
        return f"{column} starts with {' or '.join(starts)}", lambda values: text(values).startswith(starts)
    if condition.equals is not None:
        equal = frozenset(listed(condition.equals))
        return f"{column} is {' or '.join(sorted(equal))}", lambda values: text(values) in equal
    kept = frozenset(listed(condition.differs_from or ()))
    return f"{column} is not {' or '.join(sorted(kept))}", lambda values: text(values) not in kept


def _orders(rows: Iterable[Row], column: str) -> Iterator[Unit]:
    """Rows in a row that say the same; those without a value are orders of their own."""
    gathered: list[Row] = []
    named: Any = None
    broken = False
    for row in rows:
        name = None if row.problem else _name(row.values, column)
        if gathered and name is not None and name == named:
            if len(gathered) <= MOST_LINES:
                gathered.append(row)
            continue
        if gathered:
            yield _order(gathered, broken=broken or bool(row.problem))
        broken = bool(gathered) and bool(gathered[-1].problem)
        gathered, named = [row], name
    if gathered:
        yield _order(gathered, broken=broken)


def _order(rows: list[Row], *, broken: bool) -> Unit:
    return Unit(tuple(rows), rows[0].problem or (NEIGHBOUR if broken else ""))


def _name(values: Values, column: str) -> str | None:
    return _text(values, column) or None


class Apart:
    """Looks for orders whose rows lie apart: which may, in a first pass, and which do, in another one."""

    def __init__(self, plan: Plan, file_bytes: int) -> None:
        self._column = plan.order.column if plan.order is not None else None
        self._seen = Repeats(file_bytes if self._column is not None else 1)
        self.maybe = False

    def see(self, unit: Unit) -> None:
        """First pass."""
        if (key := self._key(unit)) is not None and self._seen.mark(key):
            self.maybe = True

    def first(self, again: Iterable[Unit]) -> int | None:
        """Second pass: the number of the first row that lies apart from others of its order."""
        self._seen.second_pass()
        keys = ((unit.number, self._key(unit)) for unit in again)
        return next((number for number, key in keys if key is not None and self._seen.occurrence(key)), None)

    def _key(self, unit: Unit) -> bytes | None:
        first = unit.rows[0]
        name = _name(first.values, self._column) if self._column is not None and not first.problem else None
        return None if name is None else content_key(["order", name])
