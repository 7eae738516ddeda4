"""Rows out of files, one at a time: CSV, JSON lines, and Parquet as JSON lines made by the embedded engine.

Rules
-----
- Memory is bounded by the longest row, whatever the size of the file.
- What makes the whole file doubtful (cut off, not UTF-8, no columns) is refused with a remedy; a row that cannot be
  read is a row with a problem, and its neighbours go on.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson

from pipeline.core.decode import MAX_BYTES
from pipeline.errors import Refused
from pipeline.importing.mapping import FileForm

Values = dict[str, Any]
Lines = Callable[[Path], Iterator[bytes]]
"""The rows of a Parquet file as JSON."""
Bytes: TypeAlias = "io.BufferedReader[Any]"
CUT = "is cut off: its last row ends in the middle; get the whole file"


class Row(NamedTuple):
    """A row by its number in the file (from 1, the heading not counted), or what is wrong with it."""

    number: int
    values: Values
    problem: str = ""


class File:
    """A file that is read from its beginning to its end, and its SHA-256 once it was."""

    def __init__(self, path: Path, form: FileForm, needed: Sequence[str], parquet: Lines) -> None:
        self._path, self._form, self._needed, self._parquet = path, form, needed, parquet
        self.kind = path.suffix.lower().lstrip(".")
        if self.kind == "ndjson":
            self.kind = "jsonl"
        if self.kind not in ("csv", "tsv", "jsonl", "parquet"):
            raise Refused(f"{path} is no .csv, .tsv, .jsonl or .parquet file; name it after what it is")
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                file.seek(max(0, self.size - 1))
                self._ends_well = file.read(1) in (b"\n", b"\r")
        except OSError as failed:
            raise Refused(f"cannot read {path}: {failed.strerror}") from None
        if not self.size:
            raise Refused(f"{path} is empty")
        self.done = 0
        """Bytes read so far."""
        self.digest = ""

    def rows(self) -> Iterator[Row]:
        """Its rows in order.

        Raises
        ------
        Refused
            It is cut off, not written in the encoding it should be, or no file of its kind.
        """
        reading = _Hashing(self._path)
        try:
            with io.BufferedReader(reading, 1 << 20) as file:
                made = self._of_csv(file) if self.kind in ("csv", "tsv") else self._of_json(file)
                for row in made:
                    self.done = reading.done
                    yield row
                while file.read(1 << 20):
                    pass
        except UnicodeDecodeError:
            raise Refused(
                f"{self._path} is not written in {self._form.encoding}; save it as UTF-8, or name its encoding in the "
                'mapping: [file] encoding = "windows-1252"'
            ) from None
        except OSError as failed:
            raise Refused(f"cannot read {self._path}: {failed.strerror}") from None
        self.done, self.digest = reading.done, reading.digest()

    def _of_csv(self, file: Bytes) -> Iterator[Row]:
        encoding = "utf-8-sig" if self._form.encoding.lower() in ("utf-8", "utf8") else self._form.encoding
        delimiter = "\t" if self.kind == "tsv" and self._form.delimiter == "," else self._form.delimiter
        text = self._text(file, encoding)
        reader = csv.reader(text, strict=True, delimiter=delimiter)
        try:
            columns = self._form.columns or self._heading(next(reader, []))
            self._refuse_columns(columns)
            held: tuple[int, list[str]] | None = None
            for number, cells in enumerate((cells for cells in reader if cells), start=1):
                if held is not None:
                    yield _row(*held, columns)
                held = number, cells
            if held is not None:
                self._refuse_half(held[1], columns)
                yield _row(*held, columns)
        except csv.Error as broken:
            if "unexpected end" in str(broken):
                raise Refused(f"{self._path} {CUT}") from None
            raise Refused(f"{self._path} is no CSV file from line {reader.line_num} on: {broken}") from None
        finally:
            text.detach()  # the file is still to be hashed to its end

    def _text(self, file: io.BufferedReader, encoding: str) -> io.TextIOWrapper:
        try:
            return io.TextIOWrapper(file, encoding, newline="")
        except LookupError:
            raise Refused(f"no encoding is called {encoding!r}; write one as windows-1252") from None

    def _heading(self, names: Sequence[str]) -> tuple[str, ...]:
        stripped = tuple(name.strip() for name in names)
        twice = next((name for name in stripped if stripped.count(name) > 1), None)
        if twice is not None:
            raise Refused(f"{self._path} has two columns called {twice!r}; give each a name of its own")
        return stripped

    def _refuse_columns(self, columns: Sequence[str]) -> None:
        missing = [name for name in self._needed if name not in columns]
        if missing:
            raise Refused(
                f"{self._path} has no column {', '.join(missing)}; it has {', '.join(columns)}. Name one of these in "
                "the mapping, or say what separates them: [file] delimiter"
            )

    def _refuse_half(self, last: Sequence[str], columns: Sequence[str]) -> None:
        if len(last) < len(columns) and not self._ends_well:
            raise Refused(f"{self._path} {CUT}")

    def _of_json(self, file: Bytes) -> Iterator[Row]:
        lines = self._parquet(self._path) if self.kind == "parquet" else _lines(file)
        number = 0
        for line in lines:
            if not line.strip():
                continue
            number += 1
            yield self._of_line(number, line)

    def _of_line(self, number: int, line: bytes) -> Row:
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError:
            line.decode(self._form.encoding)
            if self.kind == "jsonl" and not line.endswith(b"\n"):
                raise Refused(f"{self._path} {CUT}") from None
            return Row(number, {}, "no JSON object on a line of its own, or longer than an event can be")
        return Row(number, values) if isinstance(values, dict) else Row(number, {}, "no JSON object")


def _row(number: int, cells: list[str], columns: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        return Row(number, {}, f"{len(cells)} fields, where the first line names {len(columns)}")
    return Row(number, dict(zip(columns, cells, strict=True)))


def _lines(file: Bytes) -> Iterator[bytes]:
    """Lines; of one that is far too long only the beginning, which is no JSON."""
    while line := file.readline(4 * MAX_BYTES):
        if not line.endswith(b"\n") and len(line) == 4 * MAX_BYTES:
            while (rest := file.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
                pass
            line = b"{\n"
        yield line


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()
        self.done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._hash.update(memoryview(buffer)[:count])
        self.done += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def digest(self) -> str:
        return self._hash.hexdigest()
