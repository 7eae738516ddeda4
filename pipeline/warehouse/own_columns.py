"""The columns of our tables that our migrations made. Columns that somebody else added are left alone.

A row is inserted by the names of our columns, so a column that somebody added, wherever and of whatever kind, has its
default there.
"""

import re
from collections.abc import Mapping
from functools import cache

from pipeline import resources
from pipeline.errors import Refused
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.ddl import split

COMPUTED = ("MATERIALIZED", "ALIAS", "EPHEMERAL")
"""Kinds of columns in which nothing is kept that was inserted."""
_CREATED = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?`?(\w+)`?\s*\((.*?)^\)", re.DOTALL | re.MULTILINE)
_COLUMN = re.compile(r"^\s+`?(\w+)`? [A-Z]", re.MULTILINE)
_ALTERED = re.compile(r"ALTER TABLE `?(\w+)`?\s")
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS `?(\w+)`?")


@cache
def own_columns() -> Mapping[str, frozenset[str]]:
    """The columns of every table that migrations create, by table."""
    by_table: dict[str, set[str]] = {}
    for file in sorted((resources.schemas() / "clickhouse").iterdir(), key=lambda entry: entry.name):
        if not re.match(r"\d{4}_.+\.sql$", file.name):
            continue
        for statement in split(file.read_text(encoding="utf-8")):
            if created := _CREATED.match(statement):
                by_table.setdefault(created[1], set()).update(_COLUMN.findall(created[2]))
            elif altered := _ALTERED.match(statement):
                by_table.setdefault(altered[1], set()).update(_ADDED.findall(statement))
    return {table: frozenset(names) for table, names in by_table.items()}


def columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    """The columns of a table that a row fills, with their types, in the order of its values.

    Of a table of ours they are ours; of another one, all that hold something.

    Raises
    ------
    Refused
        One of them is gone, or is computed now.
    """
    rows = warehouse.query(
        "SELECT name, type, default_kind FROM system.columns WHERE database = {d:String} AND table = {t:String} "
        "ORDER BY position",
        {"d": warehouse.database, "t": table},
    ).rows
    types = {str(name): str(type_) for name, type_, kind in rows if kind not in COMPUTED}
    ours = own_columns().get(table)
    if ours is None:
        return types
    if absent := ours - {str(name) for name, *_ in rows}:
        raise Refused(
            f"table {warehouse.database}.{table} lacks {', '.join(sorted(absent))}: nothing can be written to it; "
            "add the column again as its migration says"
        )
    return {name: type_ for name, type_ in types.items() if name in ours}
