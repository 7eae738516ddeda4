"""Checks before a sink may write: every table on the way remembers tokens, and the broker keeps intents.

A table that does not remember tokens writes a repeated batch twice, and nobody would notice until a crash. The same is
true of every table that a materialized view fills from ours, however far down the chain it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline import kafka, retries
from pipeline.config import Settings
from pipeline.errors import Refused, Transient
from pipeline.retries import retry
from pipeline.sink.batches import PlanPart, plan_of, plan_text
from pipeline.sink.rows import TABLES
from pipeline.topics import INPUTS
from pipeline.warehouse.client import Warehouse

PROBE_GROUP = "sink-probe"
NOT_YET = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._WAIT_COORD,
)
"""A broker that has just started says so for a moment."""
PLAIN, REPLICATED = "non_replicated_deduplication_window", "replicated_deduplication_window"
KEEPS_NOTHING = "Null"
"""The engine of tables that keep no rows: what they pass on is looked at where it arrives."""
_WORD = r"(`[^`]+`|[^\s`.(]+)"
_TARGET = re.compile(rf"CREATE MATERIALIZED VIEW {_WORD}(?:\.{_WORD})? TO (?:{_WORD}\.)?{_WORD}")
_TABLES = """
    SELECT database, name, toString(uuid) AS uuid, engine, engine_full, create_table_query,
           arrayZip(dependencies_database, dependencies_table) AS views
    FROM system.tables
    WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')
"""
_DEFAULTS = "SELECT name, value FROM system.merge_tree_settings WHERE name LIKE '%replicated_deduplication_window'"
Name = tuple[str, str]
"""Database and table."""


class _Table(NamedTuple):
    database: str
    name: str
    uuid: str
    engine: str
    definition: str
    created: str
    views: list[list[str]]


def windows(warehouse: Warehouse) -> None:
    """Check that every table we write to, directly or through materialized views, remembers tokens.

    ``schema_migrations`` is exempt: it is read as a set, so a line that stands there twice means the same.

    Raises
    ------
    Refused
        One does not; the message holds the statement that repairs it.
    """
    tables = _tables(warehouse)
    defaults = {str(name): int(value) for name, value in warehouse.query(_DEFAULTS).rows}
    for table in _reached(tables, [(warehouse.database, name) for name in TABLES]):
        setting = REPLICATED if re.match(r"Replicated|Shared", table.engine) else PLAIN
        if table.engine == KEEPS_NOTHING:
            continue
        if not table.engine.endswith("MergeTree"):
            raise Refused(
                f"what comes from the log goes into {table.database}.{table.name}, whose engine {table.engine} cannot "
                "remember what was inserted, so that a repeated batch would be counted twice. Let the materialized "
                "view write to a MergeTree table with a deduplication window, or drop it"
            )
        if _window(table, setting, defaults) == 0:
            raise Refused(
                f"table {table.database}.{table.name} does not remember what was inserted, so that a repeated batch "
                f"would be counted twice. Mend it: ALTER TABLE `{table.database}`.`{table.name}` "
                f"MODIFY SETTING {setting} = 10000"
            )


def written(warehouse: Warehouse) -> list[str]:
    """Every table of ours that holds what comes from the log, directly or through materialized views.

    Raises
    ------
    Refused
        One of them is hidden inside a materialized view, so that nothing can be put into its place.
    """
    found = []
    for table in _reached(_tables(warehouse), [(warehouse.database, name) for name in TABLES]):
        if table.name.startswith(".inner"):
            raise Refused("a materialized view keeps its rows in a table of its own; let it write TO a named one")
        if table.database == warehouse.database and table.engine.endswith("MergeTree"):
            found.append(table.name)
    return found


def _tables(warehouse: Warehouse) -> dict[Name, _Table]:
    return {(t.database, t.name): t for t in (_Table(*row) for row in warehouse.query(_TABLES).rows)}


def _reached(tables: Mapping[Name, _Table], start: list[Name]) -> Iterator[_Table]:
    """The tables that an insert into ``start`` writes to; what cannot be seen from here is left out."""
    waiting, seen = list(start), set[Name]()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in tables:
            continue
        seen.add(name)
        yield tables[name]
        waiting.extend(_target(tables[view]) for view in map(_name, tables[name].views) if view in tables)


def _name(pair: list[str]) -> Name:
    return pair[0], pair[1]


def _target(view: _Table) -> Name:
    """Where a materialized view writes: the table it names, or a hidden one of its own."""
    named = _TARGET.match(view.created)
    if named is not None:
        return (named[3] or view.database).strip("`"), named[4].strip("`")
    unnamed = view.uuid.strip("0-") == ""
    return view.database, f".inner.{view.name}" if unnamed else f".inner_id.{view.uuid}"


def _window(table: _Table, setting: str, defaults: Mapping[str, int]) -> int:
    match = re.search(rf"\b{setting} = (\d+)", table.definition)
    return int(match[1]) if match else defaults.get(setting, 0)


def _commit(probe: Any, place: Sequence[TopicPartition]) -> None:
    """Commit once the coordinator of a group nobody has heard of yet is found and ready."""
    retry(retries.COORDINATOR, _is_not_yet, lambda: probe.commit(offsets=place, asynchronous=False))


def _is_not_yet(failed: Exception) -> bool:
    return isinstance(failed, KafkaException) and failed.args[0].code() in NOT_YET


def nobody_writes(settings: Settings, seconds: float = 15.0) -> None:
    """Check that no sink is in its group; one that was killed is waited for until its session ends.

    Raises
    ------
    Refused
        Sinks run.
    """
    if running := kafka.staying(settings, settings.group("sink"), seconds):
        raise Refused(
            f"{running} sinks are running, and this migration counts rows that are there already: a row that "
            "came in meanwhile would be counted twice or never. Stop the sinks, run `loyalty warehouse migrate`, "
            "and start them again"
        )


def keeps_metadata(settings: Settings, asked: Any = None) -> None:
    """Check that the broker keeps the note of a commit; some that speak Kafka's protocol drop it.

    Every sink writes the same words, so that sinks which start together do not see each other's.

    Raises
    ------
    Refused
        It does not.
    Transient
        It does not answer.
    """
    plan = (PlanPart(41, frozenset({"probe"})), PlanPart(80))
    place = [TopicPartition(settings.topic(INPUTS[0].name), 0, 0, plan_text(plan))]
    probe = asked or kafka.consumer(settings, "probe", settings.group(PROBE_GROUP))
    try:
        _commit(probe, place)
        (commit,) = probe.committed([TopicPartition(settings.topic(INPUTS[0].name), 0)], timeout=10)
    except KafkaException as failed:
        raise Transient(f"the broker does not take offsets: {failed.args[0].str()}") from None
    finally:
        probe.close()
    if plan_of(kafka.commit_note(commit)) != plan:
        raise Refused(
            f"the broker at {settings.kafka} drops the metadata of offset commits, where the sink records what it is "
            "about to write. Use Apache Kafka, or one that keeps it."
        )
