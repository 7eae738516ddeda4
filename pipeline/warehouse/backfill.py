"""Backfill of a new materialized view with the rows that were inserted before it existed.

A materialized view sees what is inserted from then on. The rows before are put through its own query, once each, also
when that is interrupted or two processes do it:

1. write down, per partition of the log, below which offset the rows are (the first to write wins)
2. create the view
3. fill its target range by range, every range under a token that names it

Between 1 and 2 nobody may insert; whoever migrates makes sure that no sink runs. A plan without a view is an
interrupted step 1, and is made again.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.errors import Refused
from pipeline.kafka.incarnations import SPAN
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.own_columns import columns

RANGE = 200_000
"""Offsets per insert."""
TABLE = """
CREATE TABLE view_fills
(
    view String COMMENT 'The materialized view',
    attempt UInt32 COMMENT 'Number of the plan; the newest counts',
    topic String COMMENT 'Topic of the rows',
    partition UInt16 COMMENT 'Partition of the rows',
    low UInt64 COMMENT 'Lowest offset that was there before the view',
    below UInt64 COMMENT 'Rows below this offset were there before the view; 0: there were none',
    planned_at DateTime('UTC') DEFAULT now('UTC') COMMENT 'When this was written down'
)
ENGINE = MergeTree
ORDER BY (view, attempt, topic, partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Which rows were there before a materialized view and were put through it afterwards'
"""
_VIEW = re.compile(
    r"CREATE MATERIALIZED VIEW (?:IF NOT EXISTS )?(?P<view>\w+) TO (?P<target>\w+)"
    r"(?:\s*\((?:[^()']|'(?:[^'\\]|\\.|'')*'|\((?:[^()]|\([^()]*\))*\))*\))?\s+AS\s+"  # its columns, with comments
    r"(?P<query>(?:SELECT|WITH)\b.*?)(?:\s*COMMENT '(?:[^'\\]|\\.|'')*')?\s*$",
    re.DOTALL,
)
_COLUMNS = {"view": "String", "attempt": "UInt32", "topic": "String", "partition": "UInt16", "low": "UInt64",
            "below": "UInt64"}  # fmt: skip
_SUM = "SimpleAggregateFunction(sum,"
_ONE_BLOCK = {
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 1_000_000_000,
    "min_insert_block_size_bytes": 100_000_000_000,
}
"""A token names one block."""


class View(NamedTuple):
    """A materialized view as its migration writes it."""

    name: str
    target: str
    source: str
    query: str
    """Its query; the source stands in it once."""

    @property
    def groups(self) -> bool:
        """Whether it adds rows up, so that a target which begins late would be wrong for good."""
        return re.search(r"\bGROUP BY\b", self.query) is not None


def view_of(statement: str) -> View | None:
    """The materialized view that a statement creates, or nothing when it creates none.

    Raises
    ------
    Refused
        It cannot be filled: it names no target, or does not read one table.
    """
    if not re.match(r"CREATE MATERIALIZED VIEW\b", statement):
        return None
    match = _VIEW.match(statement)
    sources = re.findall(r"\b(?:FROM|(?<!ARRAY )JOIN)\s+(\(|[\w.]+)", match["query"]) if match else []
    if match is None or len(sources) != 1 or sources[0] == "(":
        begin = " ".join(statement.split())[:60]
        raise Refused(
            f"a migration holds a materialized view that cannot be filled: {begin!r}. Nothing was changed; write it "
            "as CREATE MATERIALIZED VIEW name TO table AS a query that reads one table"
        )
    return View(match["view"], match["target"], sources[0], match["query"])


def plan(warehouse: Warehouse, view: View, quiet: Callable[[], None]) -> None:
    """Step 1, unless the view is there already.

    Raises
    ------
    Refused
        From ``quiet``: somebody may be inserting.
    """
    if _exists(warehouse, view.name):
        return
    attempt = len({number for number, *_ in _plans(warehouse, view)})
    rows = _ranges(warehouse, view)
    if rows:
        quiet()
        rows = _ranges(warehouse, view)  # as it is now that nobody inserts
    planned = [[view.name, attempt, *row] for row in rows] or [[view.name, attempt, "", 0, 0, 0]]
    warehouse.insert("view_fills", _COLUMNS, planned, f"fill/{view.name}/{attempt}")


def fill(warehouse: Warehouse, view: View) -> None:
    """Step 3: insert the ranges of the newest plan; those that are there already change nothing."""
    plans = _plans(warehouse, view)
    newest = max((attempt for attempt, *_ in plans), default=0)
    names = warehouse.query(f"DESCRIBE ({view.query})").rows if plans else []
    into = f"INSERT INTO {view.target} ({', '.join(f'`{name}`' for name, *_ in names)})"
    for attempt, topic, partition, low, below in plans:
        for start in _starts(low, below) if attempt == newest else ():
            values = {"topic": topic, "partition": partition, "start": start, "end": min(start + RANGE, below)}
            token = f"fill/{view.name}/{attempt}/{topic}/{partition}/{start}"
            warehouse.command(f"{into} {_ranged(view)}", values, _ONE_BLOCK | warehouse.tokens(token))


def take_out(warehouse: Warehouse, view: View, customer_id: str, token: str) -> None:
    """Take a customer's rows out of the sums of a view's target, before they are deleted from its source.

    What they added is added once more with the opposite sign, so that a sink may go on; the same token again changes
    nothing. A set of customers cannot forget one of them: they stay counted as a customer of that day, as a hash,
    until the target is filled again.
    """
    target = columns(warehouse, view.target)
    names = ", ".join(f"`{name}`" for name in target)
    theirs = _limited(view, "customer_id = {customer:String}")
    values = ", ".join(_negative(name, kind) for name, kind in target.items())
    warehouse.command(
        f"INSERT INTO {view.target} ({names}) SELECT {values} FROM ({theirs})",  # noqa: S608 - names of ours
        {"customer": customer_id},
        _ONE_BLOCK | warehouse.tokens(token),
    )


def _negative(name: str, kind: str) -> str:
    if kind.startswith(_SUM):
        return f"-`{name}`"
    if kind == "AggregateFunction(uniqExact, String)":
        return "arrayReduce('uniqExactState', emptyArrayString())"
    return f"`{name}`"


def _starts(low: int, below: int) -> Iterator[int]:
    yield from range(low - low % RANGE, below, RANGE)


def _ranged(view: View) -> str:
    return _limited(
        view,
        "_topic = {topic:String} AND _partition = {partition:UInt16} "
        "AND _offset >= {start:UInt64} AND _offset < {end:UInt64}",
    )


def _limited(view: View, condition: str) -> str:
    """The view's query over some rows of its source."""
    some = f"FROM (SELECT * FROM {view.source} WHERE {condition}) "  # noqa: S608 - names from a migration of ours
    return re.sub(rf"\bFROM\s+{view.source}\b", lambda _: some, view.query, count=1)


def _exists(warehouse: Warehouse, name: str) -> bool:
    asked = {"database": warehouse.database, "name": name}
    return bool(
        warehouse.value(
            "SELECT count() > 0 FROM system.tables WHERE database = {database:String} AND name = {name:String}", asked
        )
    )


def _plans(warehouse: Warehouse, view: View) -> list[tuple[int, str, int, int, int]]:
    rows = warehouse.query(
        "SELECT attempt, topic, partition, low, below FROM view_fills WHERE view = {view:String} "
        "ORDER BY attempt, topic, partition",
        {"view": view.name},
    ).rows
    return [(int(a), str(topic), int(p), int(low), int(below)) for a, topic, p, low, below in rows]


def _ranges(warehouse: Warehouse, view: View) -> Sequence[Sequence[Any]]:
    rows = warehouse.query(
        f"SELECT _topic, _partition, min(_offset), max(_offset) + 1 FROM {view.source} "  # noqa: S608
        f"GROUP BY _topic, _partition, intDiv(_offset, {SPAN}) ORDER BY ALL"  # nothing lies between incarnations
    ).rows
    return [[str(topic), int(partition), int(low), int(below)] for topic, partition, low, below in rows]
