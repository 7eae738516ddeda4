"""Rows under column names, at any width: what identifies a row and its figures stay whole, prose gives way.

Columns are declared as *identity*, *figure* or *prose*. What does not fit gives way in this order:

1. names of columns are wrapped, and prose beside the rest is: into lines, or cut with an ellipsis where another command
   shows all of it
2. prose moves below its row
3. figures move into further tables, which repeat the identity
4. where not even the identity and one figure fit, each row is printed as a record of its own

Without a width (a file, another program) nothing gives way. Widths are those of cells on a terminal, so wide characters
are aligned; what acts on a terminal must have been made harmless before.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

ColumnKind = Literal["identity", "figure", "prose", "cut prose"]
GAP = "   "
NARROW_GAP = "  "
LEAST_PROSE = 24
"""So wide prose must be able to be to stand beside the rest."""
INDENT = "   "


MOST_IDENTITIES = 2
"""So many columns of an answer identify its rows at most."""
_COUNTS = re.compile(r"(?:Nullable\(|LowCardinality\()*(?:U?Int|Float|Decimal|Bool)")


class Column(NamedTuple):
    """A column's name, and what it is to a row."""

    name: str
    kind: ColumnKind = "figure"


Row = Sequence[str]
_Cell = Sequence[str]
"""The lines of a cell."""


def identity(name: str) -> Column:
    """Tells rows apart: never cut, repeated where a table is continued."""
    return Column(name, "identity")


def figure(name: str) -> Column:
    """A figure, a word or a date: never cut."""
    return Column(name, "figure")


def prose(name: str, *, cut: bool = False) -> Column:
    """Sentences: wrapped where they do not fit; ``cut``: shortened to one line."""
    return Column(name, "cut prose" if cut else "prose")


def declared(columns: Sequence[str | Column]) -> list[Column]:
    """Columns as they are declared; a mere name is a figure, the first one identifies the row."""
    return [
        column if isinstance(column, Column) else Column(column, "figure" if place else "identity")
        for place, column in enumerate(columns)
    ]


def of_answer(names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Column]:
    """The columns of an answer of the warehouse: the first ones that count nothing identify a row, sentences are prose.

    ``types`` are ClickHouse's. Lists and maps can be as long as sentences and are treated alike.
    """
    kinds: list[ColumnKind] = []
    for place, type_ in enumerate(types):
        longest = max([str(row[place]) for row in rows], key=len, default="")
        if len(longest) > LEAST_PROSE and (" " in longest or re.match(r"Array|Map", type_)):
            kinds.append("prose")
        elif not _COUNTS.match(type_) and place < MOST_IDENTITIES and "figure" not in kinds:
            kinds.append("identity")
        else:
            kinds.append("figure")
    return [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]


def drawn(columns: Sequence[Column], rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """The lines of a table that is at most so many cells wide."""
    table = _Table(columns, rows)
    everything = range(len(columns))
    if width is None or 1 + table.width(everything, table.natural, GAP) <= width:
        yield from table.lines(everything, table.natural, GAP)
        return
    prose_columns = [place for place in everything if "prose" in columns[place].kind]
    whole = [place for place in everything if place not in prose_columns]
    beside = table.beside(whole, prose_columns, width)
    if beside:
        yield from table.lines(everything, beside, NARROW_GAP)
        return
    blocks = table.blocks(whole, width)
    if not blocks:
        yield from table.records(width)
        return
    for number, block in enumerate(blocks):
        below = prose_columns if number == len(blocks) - 1 else []
        yield from table.lines(block, table.least, NARROW_GAP, below, width)


class _Table:
    def __init__(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        self._columns = columns
        self._rows = rows
        values = [max([cell_len(row[place]) for row in rows], default=0) for place in range(len(columns))]
        self.natural = [max(cell_len(c.name), value) for c, value in zip(columns, values, strict=True)]
        self.least = [
            max(value, *map(cell_len, _words(column.name))) for column, value in zip(columns, values, strict=True)
        ]
        """How wide a column is when its name is wrapped."""

    @staticmethod
    def width(places: Sequence[int], widths: Sequence[int], gap: str) -> int:
        """How wide columns are beside each other."""
        return sum(widths[place] for place in places) + len(gap) * max(0, len(places) - 1)

    def beside(self, whole: Sequence[int], prose_columns: Sequence[int], width: int) -> list[int] | None:
        """Widths with all columns beside each other; ``None`` where prose would become too narrow."""
        left = (
            width
            - 1
            - self.width(whole, self.least, NARROW_GAP)
            - len(NARROW_GAP) * (len(prose_columns) if whole else 0)
        )
        if not prose_columns:
            return self.least if left >= 0 else None
        widths = list(self.least)
        waiting = sorted(prose_columns, key=lambda place: self.natural[place])
        for number, place in enumerate(waiting):
            share = left // (len(waiting) - number)
            widths[place] = min(self.natural[place], share)
            if widths[place] < min(self.natural[place], LEAST_PROSE):
                return None
            left -= widths[place]
        return widths

    def blocks(self, whole: Sequence[int], width: int) -> list[list[int]]:
        """The columns of tables below each other, each with the identity; none where one does not fit beside it."""
        same = [place for place in whole if self._columns[place].kind == "identity"]
        blocks = [list(same)]
        for place in whole:
            if place in same:
                continue
            if 1 + self.width([*blocks[-1], place], self.least, NARROW_GAP) > width:
                blocks.append(list(same))
            blocks[-1].append(place)
        blocks = [block for block in blocks if block != same] or [list(same)]
        fits = all(1 + self.width(block, self.least, NARROW_GAP) <= width for block in blocks)
        return blocks if fits else []

    def lines(
        self, places: Sequence[int], widths: Sequence[int], gap: str, below: Sequence[int] = (), width: int = 0
    ) -> Iterator[str]:
        """A head, a rule, and the rows, each with the prose that stands below it."""
        yield ""
        names = [_wrapped(self._columns[place].name, widths[place]) for place in places]
        yield from _joined([[*[""] * (max(map(len, names)) - len(name)), *name] for name in names], places, widths, gap)
        yield "─" * (1 + self.width(places, widths, gap))
        for row in self._rows:
            yield from _joined([self._cell(row, place, widths[place]) for place in places], places, widths, gap)
            for place in below:
                text = row[place] if len(below) == 1 or not row[place] else f"{self._columns[place].name}: {row[place]}"
                cell = self._fitted(text, place, width - len(INDENT)) if text else []
                yield from (INDENT + line for line in cell)
        yield ""

    def _cell(self, row: Row, place: int, width: int) -> _Cell:
        return self._fitted(row[place], place, width) if "prose" in self._columns[place].kind else [row[place]]

    def _fitted(self, text: str, place: int, width: int) -> _Cell:
        return [_cut(text, width)] if self._columns[place].kind == "cut prose" else _wrapped(text, width)

    def records(self, width: int) -> Iterator[str]:
        """Each row as a record of its own: the name of a column, and its value; prose is wrapped."""
        margin = max(cell_len(column.name) for column in self._columns)
        for number, row in enumerate(self._rows, start=1):
            yield f"-- {number}"
            for place, column in enumerate(self._columns):
                left = width - margin - len(NARROW_GAP)
                first, *more = self._cell(row, place, max(left, LEAST_PROSE)) or [""]
                yield f"{_padded(column.name, margin)}{NARROW_GAP}{first}".rstrip()
                yield from (" " * (margin + len(NARROW_GAP)) + line for line in more)


def _joined(cells: Sequence[_Cell], places: Sequence[int], widths: Sequence[int], gap: str) -> Iterator[str]:
    """The lines of cells beside each other."""
    for number in range(max(map(len, cells))):
        line = [
            _padded(cell[number] if number < len(cell) else "", widths[place])
            for place, cell in zip(places, cells, strict=True)
        ]
        yield f" {gap.join(line)}".rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def _words(text: str) -> list[str]:
    """The pieces between which a text may be wrapped: after blanks and underscores."""
    return re.findall(r"[^ _]*_+|[^ _]+ *| +", text) or [""]


def _wrapped(text: str, width: int) -> list[str]:
    """A text in lines; a word that is wider than a line is divided."""
    lines = [""]
    for word in (piece for whole in _words(text) for piece in _pieces(whole, width)):
        if lines[-1] and cell_len(lines[-1]) + cell_len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _pieces(word: str, width: int) -> list[str]:
    return [word] if cell_len(word.rstrip()) <= width else chop_cells(word, max(width, 2))
