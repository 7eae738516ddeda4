"""What Kafka's topics hold of a customer, and until when: nobody can take single records out of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from confluent_kafka import Message

from pipeline import kafka
from pipeline.commands import output
from pipeline.config import Settings
from pipeline.core.suppression import named_in, referrer_in
from pipeline.topics import ALERTS, DEAD_LETTERS, INPUTS, STATES, Topic

KEPT = (*INPUTS, ALERTS, STATES, DEAD_LETTERS)
"""Every topic that can name a customer."""


class Trace(NamedTuple):
    """Records of a topic that name a customer; ``until`` is when the last is gone, ``None``: nobody knows."""

    topic: str
    records: int
    until: datetime | None
    has_state: bool
    """Whether the newest record of their key is a state (only in the changelog)."""


def traces(settings: Settings, customer_id: str) -> list[Trace]:
    """Read every topic and look for a customer; topics without them are left out.

    Raises
    ------
    Unreachable
        Kafka does not answer.
    """
    bounds = kafka.end_offsets(settings, KEPT)
    held = kafka.topic_settings(settings, KEPT)
    found = []
    with kafka.reading(settings, "traces", settings.group("traces")) as reader, output.bar("records") as bar:
        task = bar.add_task("Reading the log", total=sum(end - first for first, end in bounds.values()))
        for topic in KEPT:
            records, newest, has_state = 0, 0, False
            for (name, partition), (first, end) in bounds.items():
                if name != topic.name or first >= end:
                    continue
                for record in kafka.records(reader, settings.topic(name), partition, first, end - 1):
                    bar.advance(task)
                    if _names(topic, record, customer_id.encode()):
                        records, newest = records + 1, max(newest, record.timestamp()[1])
                        if topic is STATES and record.key() == customer_id.encode():
                            has_state = record.value() is not None
            if records:
                found.append(Trace(topic.name, records, _until(topic, newest, held[topic.name]), has_state))
    return found


def _names(topic: Topic, record: Message, name: bytes) -> bool:
    value = record.value() or b""
    if record.key() == name:
        return True
    if topic is STATES:
        return name in value and referrer_in(value) == name.decode()
    return (name in value or b"\\" in value) and name in named_in(value)


def _until(topic: Topic, newest_ms: int, held: dict[str, str]) -> datetime | None:
    """When the broker has dropped a record of that moment: a segment is dropped, or cleaned, as a whole."""
    if topic.compacted:
        longest = int(held["max.compaction.lag.ms"]) + int(held["delete.retention.ms"])
    elif int(held["retention.ms"]) < 0:
        return None
    else:
        longest = int(held["retention.ms"]) + int(held["segment.ms"])
    try:
        return datetime.fromtimestamp(newest_ms / 1000, UTC) + timedelta(milliseconds=longest)
    except OverflowError:
        return None  # set to "never" with a very large number


def states_of(settings: Settings, customer_id: str, partition: int) -> Iterator[bytes | None]:
    """Every value of a customer's key in the changelog, in order; ``None`` is an erasure."""
    with kafka.reading(settings, "traces", settings.group("traces")) as reader:
        for record in kafka.records(reader, settings.topic(STATES.name), partition, 0):
            if record.key() == customer_id.encode():
                yield record.value()
