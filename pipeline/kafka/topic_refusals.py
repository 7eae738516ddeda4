"""Refusals about topics: one that is not the topic we read so far, and one that lost records before they were read."""

from typing import NamedTuple

from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.topics import STATES


class Gone(NamedTuple):
    """Records of a partition that left their topic before they were read: from ``first`` to before ``below``."""

    reader: str
    topic: str
    partition: int
    first: int
    below: int


def again(settings: Settings, topic: str) -> Refused:
    """A topic is not the one that was read so far."""
    return Refused(
        f"topic {settings.topic(topic)} was deleted and made again, or its log was cut off: its old records are gone "
        f"and its offsets begin again. {remedy(topic)}"
    )


def stranger(settings: Settings, topic: str) -> Refused:
    """The tables were filled from another topic, perhaps of another Kafka."""
    return Refused(
        f"the warehouse holds rows of another topic {settings.topic(topic)} than the one that is at {settings.kafka} "
        f"now. If both are right, stop workers and sinks, then: loyalty topics accept {topic}"
    )


def missing(settings: Settings, topic: str) -> Refused:
    """A topic that was read is not there any more."""
    return Refused(
        f"topic {settings.topic(topic)} is missing, and with it its records. Create it: loyalty topics create. "
        f"{remedy(topic)}"
    )


def remedy(topic: str) -> str:
    """The remedy for a topic that was made again."""
    if topic == STATES.name:
        return "Fold the states again from the events, with workers and sinks stopped: loyalty rebuild --states"
    return f"To go on with the new one, stop workers and sinks, then: loyalty topics accept {topic}"


def lost(settings: Settings, gone: Gone) -> Refused:
    """Records were not read in time."""
    return Refused(
        f"{gone.below - gone.first} records of {settings.topic(gone.topic)}, partition {gone.partition} (offsets "
        f"{gone.first} to {gone.below - 1}), left the topic before the {gone.reader} had read them. To go on without "
        f"them, stop workers and sinks, then: loyalty topics accept {gone.topic}"
    )
