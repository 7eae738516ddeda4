"""The picture of the tables: which table feeds which view, in text of 80 columns, as the warehouse itself says it."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipeline.warehouse.client import Warehouse

WIDTH = 80
INTERNAL = re.compile(
    r"audit|found_repeats|new_repeats|repeats_|schema_|view_fills|log_gaps|topic_incarnations|erasures"
)
"""Beginnings of the names of tables and views that only keep the warehouse exact; the dictionary has them all."""
_OBJECTS = """
    SELECT name, engine, sorting_key, create_table_query FROM system.tables
    WHERE database = {d:String} AND NOT startsWith(name, '.inner') ORDER BY name
"""
_SOURCE = re.compile(r"\b(?:FROM|JOIN|IN|TO) (?:`?\w+`?\.)?`?(\w+)`?")
_MOMENT = ("_at", "_within")
"""How the view of any moment or window is named beside the view of now."""


class _Object(NamedTuple):
    """A table or a view."""

    name: str
    engine: str
    key: str
    reads: frozenset[str]
    """The tables and views that its query names."""
    feeds: str = ""
    """The table that a materialized view writes into."""


def picture(warehouse: Warehouse, topics: Mapping[str, str]) -> str:
    """Tables with their topics and keys, then views with what they read; ``topics`` names the topic of each table."""
    objects = _objects(warehouse)
    return "\n".join([*_tables(objects, topics), "", *_views(objects)]) + "\n"


def _objects(warehouse: Warehouse) -> dict[str, _Object]:
    rows = warehouse.query(_OBJECTS, {"d": warehouse.database}).rows
    names = {str(name) for name, *_ in rows}
    objects: dict[str, _Object] = {}
    for name, engine, key, statement in rows:
        target = re.match(r"CREATE MATERIALIZED VIEW \S+ TO (?:`?\w+`?\.)?`?(\w+)`?", statement)
        sources = frozenset(_SOURCE.findall(_query_of(statement))) & names - {name}
        objects[name] = _Object(name, engine, key, sources, target[1] if target else "")
    return objects


def _query_of(statement: str) -> str:
    """What a view asks: a comment may hold words that look like a query."""
    return re.sub(r"'(?:[^'\\]|\\.)*'", "''", statement)


# --- tables


def _tables(objects: Mapping[str, _Object], topics: Mapping[str, str]) -> Iterator[str]:
    """A line per table: where its rows come from, and what its key is."""
    yield f"{'from':<22}     {'table':<25}key (ORDER BY)"
    yield "─" * WIDTH
    fed = {view.feeds: next(iter(view.reads - {view.feeds})) for view in objects.values() if view.feeds}
    tables = [one for one in objects.values() if not one.engine.endswith("View") and not INTERNAL.match(one.name)]
    for table in sorted(tables, key=lambda one: _rank(one.name, topics, fed)):
        source = topics.get(table.name) or fed.get(table.name) or "a command"
        arrow = "══▶" if table.name in fed else "──▶"
        yield from _line(f"{source:<22} {arrow} {table.name:<25}", table.key)


def _rank(name: str, topics: Mapping[str, str], fed: Mapping[str, str]) -> tuple[int, int, str]:
    """Tables of topics in the order of the topics, behind each what it feeds, tables that commands fill last."""
    order = list(topics)
    source = fed.get(name, name)
    return (order.index(source) if source in order else len(order), name in fed, name)


# --- views


def _views(objects: Mapping[str, _Object]) -> Iterator[str]:
    """A line per view, behind the views that it reads."""
    yield f"{'view':<36}reads"
    yield "─" * WIDTH
    shown = {name: one for name, one in objects.items() if one.engine == "View" and not INTERNAL.match(name)}
    of_now = {name: source for name in shown for source in [_of_any_moment(shown[name])] if source}
    named = {source: f"{name}({source.removeprefix(name)})" for name, source in of_now.items()}
    for name in sorted(shown.keys() - of_now.keys(), key=lambda name: (_depth(name, objects), name)):
        reads = sorted(source for source in shown[name].reads if not INTERNAL.match(source))
        yield from _line(f"{named.get(name, name):<36}", ", ".join(reads) or "(figures of the program)")


def _of_any_moment(view: _Object) -> str:
    """The view behind a view of now, or nothing: both stand on one line."""
    return next((source for source in view.reads if source in {view.name + end for end in _MOMENT}), "")


def _depth(name: str, objects: Mapping[str, _Object]) -> int:
    """How many views lie between a view and the tables."""
    return 1 + max((_depth(source, objects) for source in objects[name].reads), default=-1)


def _line(head: str, text: str) -> Iterator[str]:
    first, *rest = textwrap.wrap(text, WIDTH - len(head)) or [""]
    yield head + first
    yield from (" " * len(head) + more for more in rest)
