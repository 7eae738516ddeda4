"""Removes insert tokens whose rows were lost when the embedded engine was killed.

A plain ``MergeTree`` writes down that it knows an insert's token, and only then gives the new part its name, both under
one lock. Killed in between, it knows a token whose rows it never had: the insert that is repeated after the next start
is taken for done, and its rows are missing in that table for ever. Seen twice in a hundred kills.

At most the last token of a table can be such a one. Before the engine opens its data, :func:`forget_lost` takes it
out; then a repeated insert writes what is missing, and nothing else.
"""

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ADDED = "1"


class _Part(NamedTuple):
    """A part as its name tells it: the inserts from ``first`` to ``last`` of a partition."""

    partition: str
    first: int
    last: int

    def covers(self, other: "_Part") -> bool:
        return self.partition == other.partition and self.first <= other.first and other.last <= self.last


def forget_lost(data: Path) -> int:
    """Take the tokens of lost parts out of an engine's data; returns how many there were.

    An engine that ended by itself took its ``status`` file away and left none; one that runs holds a lock on it, and
    nothing is touched.
    """
    try:
        with (data / "status").open("rb") as status:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return sum(_forget(logs) for logs in data.glob("store/*/*/deduplication_logs"))
    except (FileNotFoundError, BlockingIOError):
        return 0


def _forget(logs: Path) -> int:
    numbered = sorted(logs.glob("deduplication_log_*.txt"), key=lambda log: int(log.stem.rpartition("_")[2]))
    filled = [log for log in numbered if log.stat().st_size]
    if not filled:
        return 0
    content = filled[-1].read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    before, last = whole[: whole.rfind(b"\n", 0, -1) + 1], whole.decode().splitlines()[-1:]
    lost = bool(last) and _is_lost(last[0], logs.parent)
    keep = len(before) if lost else len(whole)
    if keep < len(content):
        with filled[-1].open("r+b") as log:
            log.truncate(keep)
    return int(lost)


def _is_lost(line: str, table: Path) -> bool:
    done, name, _token = line.split("\t")
    asked = _part(name)
    return done == _ADDED and asked is not None and not any(part.covers(asked) for part in _parts(table))


def _parts(table: Path) -> Iterator[_Part]:
    named = (_part(folder.name) for folder in table.iterdir())
    return (part for part in named if part is not None)


def _part(name: str) -> _Part | None:
    """Read ``all_3_7_1``: partition, first and last insert, level, and perhaps a mutation."""
    fields = name.split("_")
    if len(fields) not in {4, 5} or not all(field.isdigit() for field in fields[1:]):
        return None
    return _Part(fields[0], int(fields[1]), int(fields[2]))
