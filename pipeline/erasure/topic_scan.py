"""Finds the records of a customer in Kafka's topics, and until when they lie there: nobody can take them out singly."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from confluent_kafka import Message

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.naming import names
from pipeline.core.state.marks import customer_of, is_piece
from pipeline.core.state.suppression import referrer_in
from pipeline.progress import OnProgress
from pipeline.topics import ALERTS, BY_NAME, DEAD_LETTERS, INPUTS, STATES, WEBHOOK_PENDING, Topic

KEPT = (*INPUTS, ALERTS, STATES, DEAD_LETTERS, WEBHOOK_PENDING)
"""Every topic that can name a customer."""
"""Told how many records were read, and of how many."""


class Trace(NamedTuple):
    """Records of a topic that name a customer; ``until`` is when the last is gone, ``None``: nobody knows."""

    topic: str
    records: int
    until: datetime | None
    has_state: bool
    """Whether the newest record of one of their keys is a state or a piece of one (only in the changelog)."""


def traces(settings: Settings, customer_id: str, progress: OnProgress) -> list[Trace]:
    """Read every topic and look for a customer; topics without them are left out.

    Raises
    ------
    Unreachable
        Kafka does not answer.
    """
    ranges = kafka.whole_ranges(settings, KEPT)
    held = kafka.topic_settings(settings, KEPT)
    name = customer_id.encode()
    records, newest, held_keys = Counter[str](), Counter[str](), set[bytes]()
    with kafka.reading(settings, "traces", settings.group("traces")) as reader:
        whole = sum(end - first for first, end in ranges.values())
        for read, record in enumerate(kafka.read_ranges(reader, ranges), start=1):
            progress(read, whole)
            topic = BY_NAME[settings.logical(record.topic())]
            if _names(topic, record, name):
                records[topic.name] += 1
                newest[topic.name] = max(newest[topic.name], record.timestamp()[1])
                if topic is STATES and _is_of(record.key(), name):
                    (held_keys.discard if record.value() is None else held_keys.add)(record.key())
    return [
        Trace(topic.name, records[topic.name], _until(topic, newest[topic.name], held[topic.name]),
              bool(held_keys) and topic is STATES)
        for topic in KEPT if records[topic.name]
    ]  # fmt: skip


def _names(topic: Topic, record: Message, name: bytes) -> bool:
    if topic is STATES:
        value = record.value() or b""
        return _is_of(record.key(), name) or (name in value and referrer_in(value) == name.decode())
    return names(name, record.key(), record.value(), kafka.headers_of(record))


def _is_of(key: bytes | None, name: bytes) -> bool:
    """Whether a record's key is a customer's, or that of a piece of their state."""
    return key == name or (key is not None and is_piece(key) and customer_of(key) == name)


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


def keys_of(settings: Settings, customer_id: str, partition: int) -> list[bytes]:
    """The records of a customer in the changelog: the keys of their state and its pieces that are not erased."""
    name, keys = customer_id.encode(), dict[bytes, None]()
    with kafka.reading(settings, "traces", settings.group("traces")) as reader:
        for record in kafka.read_range(reader, settings.topic(STATES.name), partition, 0):
            key = record.key()
            if key is None or not _is_of(key, name):
                continue
            if record.value() is None:
                keys.pop(key, None)
            else:
                keys[key] = None
    return list(keys)
