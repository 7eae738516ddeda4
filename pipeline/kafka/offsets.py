"""Where partitions begin and end, and how far groups have committed."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline import retries
from pipeline.config import Settings
from pipeline.errors import Refused, Unreachable
from pipeline.kafka.client import consumer, metadata
from pipeline.kafka.commit_metadata import opened
from pipeline.retries import retry
from pipeline.topics import Topic

LEADER_CHANGES = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


def _ends(reader: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset of a partition; asked again for a while where its leader changes."""
    first, end = retry(retries.LEADER, _is_leader_change, lambda: reader.get_watermark_offsets(place, timeout=10))
    return first, end


def _is_leader_change(failed: Exception) -> bool:
    return isinstance(failed, KafkaException) and failed.args[0].code() in LEADER_CHANGES


def end_offsets(settings: Settings, topics: Sequence[Topic]) -> dict[tuple[str, int], tuple[int, int]]:
    """First and next offset of every partition, by logical topic name and partition."""
    known = metadata(settings).topics
    reader = consumer(settings, "offsets", settings.group("offsets"))
    try:
        bounds: dict[tuple[str, int], tuple[int, int]] = {}
        for topic in topics:
            name = settings.topic(topic.name)
            if name not in known:
                raise Refused(f"topic {name} is missing; create the topics: loyalty topics create")
            for partition in known[name].partitions:
                bounds[topic.name, partition] = _ends(reader, TopicPartition(name, partition))
        return bounds
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()


def whole_ranges(settings: Settings, topics: Sequence[Topic]) -> dict[tuple[str, int], tuple[int, int]]:
    """All that topics hold now, as :func:`~pipeline.kafka.reader.read_ranges` takes it: by the broker's names."""
    return {(settings.topic(topic), number): ends for (topic, number), ends in end_offsets(settings, topics).items()}


def commit_note(commit: TopicPartition) -> str:
    """The metadata of a commit that a client of this library made.

    Empty where another client made it and the bytes read in their place are no text, see
    :mod:`pipeline.kafka.commit_metadata`.
    """
    try:
        return opened(commit.metadata)
    except UnicodeDecodeError:
        return ""


def end_offset(settings: Settings, topic: Topic, partition: int) -> int:
    """The next offset of a partition.

    Raises
    ------
    Unreachable
        Kafka does not answer.
    """
    reader = consumer(settings, "offsets", settings.group("offsets"))
    try:
        _, end = reader.get_watermark_offsets(TopicPartition(settings.topic(topic.name), partition), timeout=10)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()
    return int(end)


def committed(settings: Settings, group: str, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
    """Committed offsets of a group, by logical topic name and partition; partitions without one are left out."""
    known = metadata(settings).topics
    if missing := [name for topic in topics if (name := settings.topic(topic.name)) not in known]:
        raise Refused(f"topic {missing[0]} is missing; create the topics: loyalty topics create")
    asked = [
        TopicPartition(settings.topic(t.name), p) for t in topics for p in known[settings.topic(t.name)].partitions
    ]
    reader = consumer(settings, "committed", group)
    try:
        answers = reader.committed(asked, timeout=10)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()
    return {(settings.logical(a.topic), a.partition): a.offset for a in answers if a.offset >= 0}
