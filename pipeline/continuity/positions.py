"""How far the groups have committed each partition, and from where to where it reaches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.continuity.ids import ANSWER_SECONDS
from pipeline.errors import Transient, Unreachable
from pipeline.topics import ALERTS, INPUTS, TOPICS, Topic

READERS: Mapping[str, Sequence[Topic]] = {"worker": INPUTS, "sink": TOPICS, "notifier": (ALERTS,)}
"""The groups whose commits say how far a topic was read."""
Place = tuple[str, int]
"""Logical topic and partition."""


class Reach(NamedTuple):
    """How far a reader's group has committed a partition, and from where to where it reaches; the broker's offsets."""

    reader: str
    topic: str
    partition: int
    committed: int
    low: int
    end: int


def reaches(settings: Settings, reader: str) -> list[Reach]:
    """Partitions with a commit. The log's start is asked first and its end last: both only grow."""
    places = [
        TopicPartition(settings.topic(topic.name), n) for topic in READERS[reader] for n in range(settings.partitions)
    ]
    client = kafka.consumer(settings, "reach", settings.group(reader))
    try:
        lows = _asked(client, places, OFFSET_BEGINNING)
        committed = client.committed(places, timeout=ANSWER_SECONDS)
        ends = _asked(client, places, OFFSET_END)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not say how far its topics reach: {failed.args[0].str()}") from None
    finally:
        client.close()
    return [
        Reach(
            reader, settings.logical(a.topic), a.partition, a.offset, *(w[a.topic, a.partition] for w in (lows, ends))
        )
        for a in committed
        if a.offset >= 0 and (a.topic, a.partition) in lows.keys() & ends.keys()
    ]


def _asked(client: Consumer, places: Sequence[TopicPartition], where: int) -> dict[Place, int]:
    wanted = [TopicPartition(place.topic, place.partition, where) for place in places]
    answers = client.offsets_for_times(wanted, timeout=ANSWER_SECONDS)
    return {(a.topic, a.partition): a.offset for a in answers if a.error is None}


def go_to_beginning(settings: Settings, reader: str, topic: str) -> None:
    """Let a group of nobody read a topic from its beginning.

    Raises
    ------
    Transient
        The broker does not take it, for instance because a worker or a sink runs.
    """
    places = [TopicPartition(settings.topic(topic), n) for n in range(settings.partitions)]
    client = kafka.consumer(settings, "reach", settings.group(reader))
    try:
        lows = _asked(client, places, OFFSET_BEGINNING)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not say where {topic} begins: {failed.args[0].str()}") from None
    finally:
        client.close()
    commit(settings, reader, [TopicPartition(name, n, low) for (name, n), low in lows.items()])


def commit(settings: Settings, process: str, places: list[TopicPartition]) -> None:
    """Set offsets of a group that nobody is in.

    Raises
    ------
    Transient
        The broker does not take them, for instance because somebody is in the group.
    """
    if not places:
        return
    client = kafka.consumer(settings, "topics", settings.group(process))
    try:
        for place in client.commit(offsets=places, asynchronous=False):
            if place.error is not None:
                raise KafkaException(place.error)
    except KafkaException as failed:
        raise Transient(f"the offsets of the {process} cannot be set: {failed.args[0].str()}; run it again") from None
    finally:
        client.close()
