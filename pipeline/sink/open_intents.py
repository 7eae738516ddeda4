"""Whether sinks have finished what they had begun: the batches whose intent was recorded at some moment."""

from typing import NamedTuple

from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.sink.batches import plan_of
from pipeline.topics import TOPICS

SECONDS = 10.0


class Intent(NamedTuple):
    """A batch that is recorded and not yet committed."""

    topic: str
    partition: int
    first: int
    recorded: str


def intents(settings: Settings, group: str = "sink", seconds: float = SECONDS) -> set[Intent]:
    """Every open intent of a group of sinks, by default of those who write the live tables.

    Raises
    ------
    Unreachable
        Kafka does not answer.
    """
    with kafka.reading(settings, "intents", settings.group(group)) as reader:
        asked = [TopicPartition(settings.topic(t.name), n) for t in TOPICS for n in range(settings.partitions)]
        answers = reader.committed(asked, timeout=seconds)
    notes = ((answer, kafka.commit_note(answer)) for answer in answers)
    return {Intent(a.topic, a.partition, a.offset, recorded) for a, recorded in notes if plan_of(recorded)}
