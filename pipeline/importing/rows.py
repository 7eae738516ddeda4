"""Reads rows of files one at a time: CSV, JSON lines, and Parquet as JSON lines made by the embedded engine.

Rules
-----
- Memory is bounded by the longest row, whatever the size of the file.
- What makes the whole file doubtful (cut off, another encoding, no columns) is refused with a remedy; a row that cannot
  be read is a row with a problem, and its neighbours go on.
"""

import codecs
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from pipeline.core.contract.decode import MAX_BYTES
from pipeline.errors import Refused
from pipeline.importing.delimited import CUT, Row, Table, Values
from pipeline.importing.plan import FileForm

__all__ = ["File", "Lines", "Row", "Values"]

Lines = Callable[[Path], Iterator[bytes]]
"""The rows of a Parquet file as JSON."""
Bytes: TypeAlias = "io.BufferedReader[Any]"
TOO_LONG = b"{\n"
"""What stands for a line that is longer than any event: no JSON."""


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
                file.seek(max(0, self.size - 4))
                self._ends_well = file.read().rstrip(b"\0")[-1:] in (b"\n", b"\r")
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
        except UnicodeError:  # a missing BOM of UTF-16 is no UnicodeDecodeError
            raise Refused(
                f"{self._path} is not written in {self._form.encoding}; save it as UTF-8, or name its encoding in the "
                'mapping: [file] encoding = "windows-1252"'
            ) from None
        except OSError as failed:
            raise Refused(f"cannot read {self._path}: {failed.strerror}") from None
        self.done, self.digest = reading.done, reading.digest()

    def _of_csv(self, file: Bytes) -> Iterator[Row]:
        table = Table(
            self._path, self._form, self._needed, tabs=self.kind == "tsv", ends_well=self._ends_well
        )  # fmt: skip
        with self._text(file, newline="") as text:
            yield from table.rows(text)

    @contextmanager
    def _text(self, file: Bytes, newline: str) -> Iterator[io.TextIOWrapper]:
        """The file as text; its bytes can be read on afterwards."""
        text = io.TextIOWrapper(file, self._form.encoding, newline=newline)
        try:
            yield text
        finally:
            text.detach()

    def _of_json(self, file: Bytes) -> Iterator[Row]:
        number = 0
        for line, written in enumerate(self._json_lines(file), start=1):
            if not written.strip():
                continue
            number += 1
            yield self._of_line(number, written, line)

    def _json_lines(self, file: Bytes) -> Iterator[bytes]:
        """Lines in UTF-8, whatever the file is written in, without a byte order mark."""
        if self.kind == "parquet":
            yield from self._parquet(self._path)
        elif codecs.lookup(self._form.encoding).name in ("utf-8", "utf-8-sig"):
            for number, line in enumerate(_lines(file)):
                yield line if number else line.removeprefix(codecs.BOM_UTF8)
        else:
            with self._text(file, newline="\n") as text:
                for number, written in enumerate(_text_lines(text)):
                    yield (written if number else written.removeprefix("\ufeff")).encode("utf-8", "surrogatepass")

    def _of_line(self, number: int, written: bytes, line: int) -> Row:
        at = line if self.kind == "jsonl" else 0
        try:
            values = orjson.loads(written)
        except orjson.JSONDecodeError as broken:
            if written != TOO_LONG:
                written.decode()
            if self.kind == "jsonl" and not written.endswith(b"\n"):
                raise Refused(f"{self._path} {CUT}") from None
            why = f"no JSON object on a line of its own ({broken.msg})"
            return Row(number, {}, "longer than an event can be" if written == TOO_LONG else why, at)
        return Row(number, values, "", at) if isinstance(values, dict) else Row(number, {}, "no JSON object", at)


def _lines(file: Bytes) -> Iterator[bytes]:
    """Lines; of one that is far too long only that it is."""
    while line := file.readline(4 * MAX_BYTES):
        if not line.endswith(b"\n") and len(line) == 4 * MAX_BYTES:
            while (rest := file.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
                pass
            line = TOO_LONG
        yield line


def _text_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(4 * MAX_BYTES):
        if not line.endswith("\n") and len(line) == 4 * MAX_BYTES:
            while (rest := text.readline(MAX_BYTES)) and not rest.endswith("\n"):
                pass
            line = TOO_LONG.decode()
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
