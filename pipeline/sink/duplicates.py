"""Repeated records: an event that was produced twice stands in the raw tables twice, and counts once.

The views find repeats by themselves, at the price of a look through the whole table for what is new. So that little is
new, a sink does the following about once a minute, for every table and everything below its committed offsets:

1. write down the repeats there are
2. write down how far was looked

Both may be done twice, by several sinks at once, or be cut off in between: a repeat is written under its place in the
log, how far was looked only ever grows, and what lies between 1 and 2 is found twice and counted once.
"""

from collections.abc import Iterator, Mapping

from pipeline.kafka.incarnations import Bases
from pipeline.warehouse.client import Warehouse

KINDS = {
    "purchases": ("raw_purchases", "purchases"),
    "service-contacts": ("raw_service_contacts", "service_contacts"),
    "surveys": ("raw_survey_responses", "survey_responses"),
    "alert-outcomes": ("raw_alert_outcomes", "alert_outcomes"),
    "churn-alerts": ("alert_messages", "alert_messages"),
}
"""Topic, with the table of its records and the last part of the names of its repeats."""
OWN = ("repeats_searched", *(f"found_repeats_of_{kind}" for _, kind in KINDS.values()))
"""The tables in which it is written down. They speak of the rows that were there then, and of no others."""
STEP = 500_000
"""How many offsets of a partition are looked through at a time: it bounds the memory, not the result."""
NOTHING: Bases = {}
Ends = Mapping[int, int]
"""Partition, with the offset below which every record is in the warehouse."""


def search(warehouse: Warehouse, committed: Mapping[tuple[str, int], int], bases: Bases = NOTHING) -> None:
    """Find and write down the repeats below the committed offsets of topic and partition, which are the broker's.

    A step covers everything below its end: the first one of a topic that was made again, all that came before it.
    """
    for topic in KINDS:
        base = bases.get(topic, 0)
        ends = {partition: base + end for (name, partition), end in committed.items() if name == topic}
        searched = _searched(warehouse, topic)
        for part in _steps({partition: max(base, searched.get(partition, 0)) for partition in ends}, ends):
            _look(warehouse, topic, part)


def _searched(warehouse: Warehouse, topic: str) -> dict[int, int]:
    rows = warehouse.query(
        "SELECT partition, max(below) FROM repeats_searched "
        "WHERE `table` = {table:String} AND topic = {topic:String} GROUP BY partition",
        {"table": KINDS[topic][0], "topic": topic},
    ).rows
    return {int(partition): int(below) for partition, below in rows}


def _steps(searched: Ends, ends: Ends) -> Iterator[dict[int, int]]:
    """The ends of every step; only partitions that go on are in it."""
    now = {partition: searched.get(partition, 0) for partition in ends}
    while any(now[partition] < end for partition, end in ends.items()):
        now = {partition: max(now[partition], min(now[partition] + STEP, end)) for partition, end in ends.items()}
        yield {partition: below for partition, below in now.items() if below > searched.get(partition, 0)}


def _look(warehouse: Warehouse, topic: str, ends: Ends) -> None:
    table, kind = KINDS[topic]
    below = " OR ".join(f"(_partition = {partition} AND _offset < {end})" for partition, end in ends.items())
    warehouse.command(
        f"INSERT INTO found_repeats_of_{kind} SELECT * EXCEPT (same) FROM new_repeats_of_{kind} WHERE same",  # noqa: S608
        settings={"additional_table_filters": f"{{'{warehouse.database}.{table}': '{below}'}}"},
    )
    warehouse.insert(
        "repeats_searched",
        {"table": "String", "topic": "String", "partition": "UInt16", "below": "UInt64"},
        [[table, topic, partition, end] for partition, end in ends.items()],
        "",
    )
