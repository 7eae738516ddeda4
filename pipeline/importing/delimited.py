"""Reads rows of CSV and TSV files as databases, shops and spreadsheets write them.

Rules
-----
- A row that is no CSV costs itself; where one may have swallowed its neighbours, the file is refused.
- Headings that nobody maps may be empty or come twice; one that is mapped must be one.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pipeline.core.contract.decode import MAX_BYTES
from pipeline.errors import Refused
from pipeline.importing.plan import FileForm

Values = dict[str, Any]
CUT = "is cut off: its last row ends in the middle; get the whole file"
LONGEST_CELL = 4 * MAX_BYTES
"""Characters; a longer cell costs its row."""
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line by which spreadsheets are told what separates the cells."""


class Row(NamedTuple):
    """A row by its number in the file (from 1, the heading not counted), or what is wrong with it."""

    number: int
    values: Values
    problem: str = ""
    line: int = 0
    """Where it begins in a text file, from 1."""


class Table:
    """A CSV file that is read from its beginning to its end."""

    def __init__(self, path: Path, form: FileForm, needed: Sequence[str], *, tabs: bool, ends_well: bool) -> None:
        self._path, self._form, self._needed, self._ends_well = path, form, needed, ends_well
        self._delimiter = "\t" if tabs and form.delimiter == "," else form.delimiter

    def rows(self, text: TextIO) -> Iterator[Row]:
        """Its rows in order.

        Raises
        ------
        Refused
            It is cut off, a column is missing, or a quotation mark that is not closed runs through its rows.
        """
        csv.field_size_limit(LONGEST_CELL)
        first, skipped = text.readline().removeprefix("\ufeff"), 0
        if (said := _SEPARATOR.fullmatch(first)) is not None:
            self._delimiter, first, skipped = said[1], text.readline(), 1
        reader = csv.reader(
            chain([first], text), strict=True, delimiter=self._delimiter, escapechar=self._form.escape
        )  # fmt: skip
        try:
            columns = self._named(self._form.columns or next(reader, []))
        except csv.Error as broken:
            raise Refused(f"{self._path} is no CSV file: its heading cannot be read ({broken})") from None
        held: tuple[Row, int] | None = None
        for line, cells in self._cells(reader, skipped):
            if held is not None:
                yield held[0]
            number = held[0].number + 1 if held is not None else 1
            held = _row(number, cells, columns, line), len(cells) if isinstance(cells, list) else len(columns)
        if held is not None:
            if held[1] < len(columns) and not self._ends_well and not self._form.footer:
                raise Refused(f"{self._path} {CUT}")
            yield held[0]

    def _cells(self, reader: Any, skipped: int) -> Iterator[tuple[int, list[str] | str]]:
        """The line each row begins in, and its cells, or why it has none."""
        while True:
            begun = reader.line_num + skipped + 1
            try:
                cells = next(reader, None)
            except csv.Error as broken:
                if "unexpected end" in str(broken):
                    raise Refused(f"{self._path} {CUT}") from None
                if reader.line_num + skipped > begun:
                    raise Refused(
                        f"{self._path} is no CSV file from line {begun} on: a quotation mark is not closed there "
                        f"({broken}){self._remedy()}"
                    ) from None
                long = "field larger" in str(broken)
                yield begun, "longer than an event can be" if long else f"no CSV ({broken}){self._remedy()}"
                continue
            if cells is None:
                return
            if cells:
                yield begun, cells

    def _remedy(self) -> str:
        return "" if self._form.escape else r"""; where \" stands for a quotation mark, say [file] escape = '\'"""

    def _named(self, written: Sequence[str]) -> tuple[str, ...]:
        """A name for every column: of those that come twice, "Comment (1)" and "Comment (2)"."""
        names = [name.strip() for name in written]
        often, seen = Counter(names), Counter[str]()
        columns = []
        for name in names:
            seen[name] += 1
            columns.append(name if often[name] == 1 else f"{name} ({seen[name]})")
        self._refuse_missing(columns, {name for name in often if often[name] > 1})
        return tuple(columns)

    def _refuse_missing(self, columns: Sequence[str], repeated: set[str]) -> None:
        missing = [name for name in self._needed if name not in columns]
        twice = next((name for name in missing if name in repeated), None)
        if twice is not None:
            raise Refused(
                f'{self._path} has two columns called {twice!r}; say which is meant: "{twice} (1)" or "{twice} (2)"'
            )
        if missing:
            raise Refused(
                f"{self._path} has no column {', '.join(missing)}; it has {', '.join(columns)}. Name one of these in "
                "the mapping, or say what separates them: [file] delimiter"
            )


def _row(number: int, cells: list[str] | str, columns: Sequence[str], line: int) -> Row:
    if isinstance(cells, str):
        return Row(number, {}, cells, line)
    found = len(cells)
    if found > len(columns) and not any(cells[len(columns) :]):
        cells = cells[: len(columns)]  # separators at the end of every line but the first
    if len(cells) != len(columns):
        return Row(number, {}, f"{found} fields, where the first line names {len(columns)}", line)
    return Row(number, dict(zip(columns, cells, strict=True)), "", line)
