"""Rows of a Parquet file as JSON lines, made by the embedded engine one row group after the other.

Rules
-----
- The file is handed to the engine open: it would read its name as a pattern, or as an archive.
- The engine gives every moment as one in UTC. Which of them are, the file's own types say: a timestamp that is not
  adjusted to UTC, or in the form of 96 bits that cannot say so, is a local time, and stands there without a zone.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.errors import Refused
from pipeline.extras import remedy

_ROWS = """
SELECT * FROM file({path:String}, 'Parquet')
SETTINGS max_threads = 1, max_block_size = 8192, date_time_output_format = 'iso', output_format_json_quote_decimals = 1,
         output_format_json_quote_64bit_integers = 0, session_timezone = 'UTC', max_memory_usage = 1000000000,
         input_format_parquet_preserve_order = 1
"""
_TYPES = """
SELECT arrayMap(c -> (c.path, c.physical_type, c.logical_type), columns) AS types
FROM file({path:String}, 'ParquetMetadata')
"""
_OPEN_FILES = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"

Change = Callable[[str], str]
"""What becomes of the text of a moment."""
Column = tuple[list[str], Change]
"""A column by its path, and what becomes of the texts in it."""


def lines(path: Path) -> Iterator[bytes]:
    """Every row in the file's order: decimals as text, moments in UTC, local times without a zone.

    Raises
    ------
    Refused
        The engine is not installed, or this is no whole Parquet file.
    """
    try:
        import chdb  # noqa: PLC0415 - only who imports Parquet needs it
    except ImportError:
        raise Refused(
            f"reading Parquet needs the embedded engine; save the file as CSV, or {remedy('local')}"
        ) from None
    connection = chdb.connect(":memory:")
    try:
        with path.open("rb") as file:
            place = {"path": f"{_OPEN_FILES}/{file.fileno()}"}
            changes = list(_changes(connection.query(_TYPES, "JSONCompactEachRow", params=place).bytes()))
            with connection.send_query(_ROWS, "JSONEachRow", params=place) as result:
                yield from _changed(_lines(result), changes)
    except RuntimeError as failed:
        said = re.search(r"DB::Exception: ([^.:(]{1,120})", str(failed))
        raise Refused(
            f"{path} cannot be read as Parquet ({said[1].strip() if said else 'no reason given'}); get the whole file, "
            "or save it as CSV"
        ) from None
    finally:
        connection.close()


def _lines(result: Any) -> Iterator[bytes]:
    rest = b""
    for chunk in result:
        whole, end, tail = (rest + bytes(chunk.bytes())).rpartition(b"\n")
        yield from (whole + end).splitlines(keepends=True)
        rest = tail
    if rest:
        yield rest


def _changes(types: bytes) -> Iterator[Column]:
    """The columns whose moments are none in UTC, by the types of the file."""
    for path, physical, logical in orjson.loads(types)[0]:
        if logical.startswith("Time("):
            yield path.split("."), _time
        elif physical == "INT96" or (logical.startswith("Timestamp(") and "isAdjustedToUTC=false" in logical):
            yield path.split("."), _local


def _local(moment: str) -> str:
    return moment.removesuffix("Z")


def _time(moment: str) -> str:
    """The engine gives a time of day as one of the first day of 1970."""
    return _local(moment).partition("T")[2] or moment


def _changed(rows: Iterator[bytes], changes: list[Column]) -> Iterator[bytes]:
    if not changes:
        yield from rows
        return
    for row in rows:
        try:
            values = orjson.loads(row)
        except orjson.JSONDecodeError:  # text that is not UTF-8: whoever reads the row says so
            yield row
            continue
        for path, change in changes:
            values = _within(values, path, change)
        yield orjson.dumps(values) + b"\n"


def _within(value: Any, path: list[str], change: Change) -> Any:
    """A value with the texts changed that a path leads to; lists and maps stand in it with names of their own."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_within(each, path[2:], change) for each in value]
    if not isinstance(value, dict):
        return value
    for length in range(len(path), 0, -1):
        name = ".".join(path[:length])  # a name may hold a point itself
        if name in value:
            return value | {name: _within(value[name], path[length:], change)}
    return {name: _within(each, path[2:], change) for name, each in value.items()}
