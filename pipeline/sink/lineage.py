"""Which topics the rows come from, as the warehouse itself remembers it, and which records nobody could store.

Kafka's own memory (:mod:`pipeline.continuity`) goes with its cluster. A warehouse that was filled from another one says
so here; one that was filled before anything was remembered is compared with the ends of the topics.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline import continuity, kafka
from pipeline.config import Settings
from pipeline.continuity import Place, Topics
from pipeline.erasure.suppression_list import Suppressions
from pipeline.kafka import topic_refusals
from pipeline.kafka.incarnations import Bases, Incarnation, Incarnations
from pipeline.kafka.topic_refusals import Gone
from pipeline.sink.audit import TABLES
from pipeline.topics import TOPICS
from pipeline.warehouse.client import Warehouse

_INCARNATION = {"topic": "String", "number": "UInt32", "topic_id": "String"}
_GAP = {"reader": "String", "topic": "String", "partition": "UInt16", "first": "UInt64", "below": "UInt64"}


class Gap(NamedTuple):
    """Records that an operator gave up, counted as the tables count them."""

    reader: str
    topic: str
    partition: int
    first: int
    below: int
    accepted_at: str


def agreed(settings: Settings, suppressions: Suppressions, warehouse: Warehouse) -> Topics:
    """The topics a sink may go on reading; as :func:`pipeline.continuity.agreed`, and the warehouse agrees."""
    topics = continuity.agreed(settings, suppressions, "sink", passed(warehouse, "sink"))
    for topic in others(settings, warehouse, suppressions.incarnations):
        raise topic_refusals.stranger(settings, topic)
    note(warehouse, suppressions.incarnations)
    return topics


def check(settings: Settings, suppressions: Suppressions, warehouse: Warehouse) -> None:
    """Refuse as a sink would that starts now; nothing is written."""
    topics = continuity.look(settings, suppressions, ["sink"])
    continuity.check(settings, topics, "sink", passed(warehouse, "sink"))
    for topic in others(settings, warehouse, topics.known):
        raise topic_refusals.stranger(settings, topic)


def others(settings: Settings, warehouse: Warehouse, known: Incarnations) -> list[str]:
    """Topics of which the warehouse holds rows that did not come from the one that Kafka has now."""
    stored = incarnations(warehouse)
    ends = {key: end for key, (_, end) in kafka.end_offsets(settings, TOPICS).items()}
    return [topic.name for topic in TOPICS if not _agrees(warehouse, topic.name, stored, known, ends)]


def _agrees(
    warehouse: Warehouse,
    topic: str,
    stored: Mapping[str, Incarnation],
    known: Incarnations,
    ends: Mapping[Place, int],
) -> bool:
    here, there = stored.get(topic), known.newest(topic)
    if there is None:
        return here is None
    if here is not None:
        return there.number > here.number or there == here
    return all(newest < there.base + ends.get((topic, n), 0) for n, newest in _newest(warehouse, topic).items())


def _newest(warehouse: Warehouse, topic: str) -> dict[int, int]:
    """The last offset of each partition that a row came from."""
    rows = warehouse.query(
        "SELECT _partition, max(_offset) FROM {table:Identifier} WHERE _topic = {topic:String} GROUP BY _partition",
        {"table": TABLES[topic], "topic": topic},
    ).rows
    return {int(partition): int(newest) for partition, newest in rows}


def incarnations(warehouse: Warehouse) -> dict[str, Incarnation]:
    """The newest incarnation of each topic that rows came from; nothing of a warehouse that no sink has opened yet."""
    rows = _rows(warehouse, "topic_incarnations", "topic, number, topic_id", "ORDER BY number")
    return {str(topic): Incarnation(int(number), str(id_)) for topic, number, id_ in rows}


def note(warehouse: Warehouse, known: Incarnations) -> None:
    """Remember which topics rows come from."""
    stored = incarnations(warehouse)
    new = [(t.name, *one) for t in TOPICS if (one := known.newest(t.name)) is not None and stored.get(t.name) != one]
    if new:
        warehouse.insert("topic_incarnations", _INCARNATION, new, "")


def passed(warehouse: Warehouse, reader: str) -> dict[Place, int]:
    """Offsets below which an operator gave up what a reader had not read."""
    return {(gap.topic, gap.partition): gap.below for gap in gaps(warehouse) if gap.reader == reader}


def gaps(warehouse: Warehouse) -> list[Gap]:
    """Everything that was given up, in the order of the log."""
    names = "reader, topic, partition, first, max(below), toString(max(accepted_at))"
    rows = _rows(warehouse, "log_gaps", names, "GROUP BY reader, topic, partition, first ORDER BY ALL")
    return [Gap(str(r), str(t), int(n), int(first), int(below), str(at)) for r, t, n, first, below, at in rows]


def give_up(warehouse: Warehouse, gone: Iterable[Gone], bases: Bases) -> None:
    """Remember that an operator goes on without records; said again, it is the same."""
    rows = [(g.reader, g.topic, g.partition, *(bases.get(g.topic, 0) + n for n in (g.first, g.below))) for g in gone]
    if rows:
        warehouse.insert("log_gaps", _GAP, rows, "")


def _rows(warehouse: Warehouse, table: str, names: str, rest: str) -> list[Any]:
    """Rows of a table that a migration makes, none as long as it has not."""
    there = warehouse.value(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name = {t:String}",
        {"d": warehouse.database, "t": table},
    )
    return list(warehouse.query(f"SELECT {names} FROM {table} {rest}").rows) if int(there) else []  # noqa: S608 - fixed texts
