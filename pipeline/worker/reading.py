"""Reading a piece of one of our own topic partitions again, outside the consumer group."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as Found
from faust.types import TP

from pipeline import kafka, retries
from pipeline.config import Settings
from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import Transient
from pipeline.kafka.commit_metadata import read_note
from pipeline.kafka.incarnations import Bases
from pipeline.retries import retry_async
from pipeline.topics import ALERTS, APPLIED_HEADER, INPUTS, Topic
from pipeline.worker.commits import Commit

SECONDS = 30.0
Result = TypeVar("Result")

_alert = msgspec.json.Decoder(ChurnAlert)
_applied = msgspec.json.Decoder(dict[str, int])


class Message(NamedTuple):
    """A message to the desk in the log, and the last offset of each topic that was applied when it was told."""

    alert: ChurnAlert
    applied: dict[str, int]


class CommittedPosition(NamedTuple):
    """The position of the group in a partition at its last commit."""

    processed: dict[str, int]
    """The last offset processed of each input topic."""
    settled: int
    """Alerts below this offset are in the state."""
    alerts: list[Message]
    """Alerts from there on."""
    next_alert: int
    """Where the next one will lie; the broker's offset."""
    until: dict[str, int]
    """Up to which offset of each input topic everything is folded again."""


def standing(
    settings: Settings, partition: int, committed: Callable[[Iterable[TP]], dict[TP, Commit]], bases: Bases
) -> CommittedPosition:
    """Read a partition's commits, which ``committed`` knows, and the alerts that may be ahead of the state.

    Of a topic that was made again and of which nothing is processed yet, everything old is.

    Raises
    ------
    Transient
        The broker does not answer.
    """
    answers = committed(TP(settings.topic(topic.name), partition) for topic in INPUTS)
    commits = {settings.logical(place.topic): commit for place, commit in answers.items()}
    notes = {topic: read_note(commit.note) for topic, commit in commits.items()}
    settled = max((settled for settled, _ in notes.values()), default=0)
    until = {topic: offset for topic, (_, offset) in notes.items() if offset is not None}
    processed = {topic: base - 1 for topic, base in bases.items()}
    processed |= {topic: bases.get(topic, 0) + commit.offset - 1 for topic, commit in commits.items()}
    with kafka.reading(settings, "standing", settings.group("worker")) as reader:
        first = max(0, settled - bases.get(ALERTS.name, 0))
        records, end = _read(reader, settings.topic(ALERTS.name), partition, first)
    return CommittedPosition(processed, settled, [m for m in map(_message, records) if m is not None], end, until)


def messages(settings: Settings, partition: int) -> list[Message]:
    """Every message to the desk in a partition.

    Raises
    ------
    Transient
        The broker does not answer.
    """
    with kafka.reading(settings, "messages", settings.group("worker")) as reader:
        records, _ = _read(reader, settings.topic(ALERTS.name), partition, 0)
        return [message for message in map(_message, records) if message is not None]


async def patiently(read: Callable[..., Result], *arguments: Any) -> Result:
    """Read in a thread; a broker that is away is waited for."""

    def may_pass(failed: Exception) -> bool:
        if not isinstance(failed, Transient):
            return False
        structlog.get_logger().warning("the broker does not answer; waiting", error=str(failed))
        return True

    return await retry_async(retries.BROKER_AWAY, may_pass, lambda: asyncio.to_thread(read, *arguments))


def records_between(settings: Settings, topic: Topic, partition: int, first: int, end: int) -> list[Found]:
    """The records of a partition from ``first`` to before ``end``.

    Raises
    ------
    Transient
        The broker does not answer.
    """
    with kafka.reading(settings, "records", settings.group("worker")) as reader:
        return list(kafka.read_range(reader, settings.topic(topic.name), partition, first, end))


def _read(reader: Consumer, topic: str, partition: int, first: int) -> tuple[list[Found], int]:
    """The records from ``first`` to the end, and where the end is."""
    place = TopicPartition(topic, partition)
    low, high = reader.get_watermark_offsets(place, timeout=SECONDS)
    if max(first, low) >= high:
        return [], high
    records = list(kafka.read_range(reader, topic, partition, max(first, low)))
    return records, max([high, *(record.offset() + 1 for record in records[-1:])])


def _message(record: Found) -> Message | None:
    """A message of ours; anything else that lies in the topic is not."""
    try:
        applied = _applied.decode(kafka.header_of(record, APPLIED_HEADER))
        return Message(_alert.decode(record.value() or b""), applied)
    except UNREADABLE:
        return None


def is_message(record: Found) -> bool:
    """Whether a record of ``churn-alerts`` was written by a worker."""
    return _message(record) is not None
