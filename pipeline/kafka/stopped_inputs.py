"""Inputs that stand still because their fuse has blown, written where every process can read it: in commits.

In a group of its own, the commit of an input's partition 0 says why the topic stands, for all workers and across their
starts. Its offset in every partition says up to where an operator lets everything through: what cannot be used of that
becomes dead letters, and the fuse does not judge it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Refused, Transient, Unreachable
from pipeline.topics import INPUTS

GROUP = "fuse"
ANSWER_SECONDS = 10.0
_STANDS, _AGAIN = "stands: ", "again"


class Stopped(NamedTuple):
    """Which inputs stand still, and how far they are let through."""

    why: Mapping[str, str]
    """Topics that stand."""
    again: frozenset[str]
    """Topics that were told to go on and have to show first that they can be used."""
    through: Mapping[tuple[str, int], int]
    """Topic and partition, with the broker's offset below which everything is let through."""


class Notice:
    """Where it is said; one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Consumer = kafka.consumer(settings, GROUP, settings.group(GROUP))
        self._places = [
            TopicPartition(settings.topic(topic.name), n) for topic in INPUTS for n in range(settings.partitions)
        ]

    def read(self) -> Stopped:
        """The newest notice.

        Raises
        ------
        Unreachable
            The broker does not answer.
        """
        try:
            commits = self._client.committed(self._places, timeout=ANSWER_SECONDS)
        except KafkaException as failed:
            raise Unreachable(f"Kafka does not say which topics stand: {failed.args[0].str()}") from None
        firsts = [commit for commit in commits if commit.partition == 0 and commit.offset >= 0]
        notes = {self._settings.logical(commit.topic): kafka.commit_note(commit) for commit in firsts}
        return Stopped(
            {topic: text.removeprefix(_STANDS) for topic, text in notes.items() if text.startswith(_STANDS)},
            frozenset(topic for topic, text in notes.items() if text == _AGAIN),
            {(self._settings.logical(a.topic), a.partition): a.offset for a in commits if a.offset > 0},
        )

    def stop(self, topic: str, why: str) -> None:
        """Say that a topic stands; raises :class:`Transient` where the broker does not take it."""
        through = self.read().through.get((topic, 0), 0)
        self._say([TopicPartition(self._settings.topic(topic), 0, through, _STANDS + why)])

    def go_on(self, topic: str, *, let_through: bool) -> None:
        """Take it back: the topic has to show that it can be used, or what is in it now is let through first."""
        places = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in self._of(topic)]
        if not let_through:
            kept = self.read().through.get((topic, 0), 0)
            return self._say([TopicPartition(self._settings.topic(topic), 0, kept, _AGAIN)])
        try:
            ends = self._client.offsets_for_times(places, timeout=ANSWER_SECONDS)
        except KafkaException as failed:
            raise Unreachable(f"Kafka does not say where {topic} ends: {failed.args[0].str()}") from None
        return self._say([TopicPartition(end.topic, end.partition, end.offset) for end in ends])

    def _of(self, topic: str) -> list[TopicPartition]:
        return [place for place in self._places if place.topic == self._settings.topic(topic)]

    def _say(self, places: list[TopicPartition]) -> None:
        try:
            for place in self._client.commit(offsets=places, asynchronous=False):
                if place.error is not None:
                    raise KafkaException(place.error)
        except KafkaException as failed:
            raise Transient(f"Kafka does not take which topics stand: {failed.args[0].str()}") from None

    def close(self) -> None:
        """Ask no more."""
        self._client.close()


def stands(topic: str, why: str) -> Refused:
    """The refusal about a topic that stands."""
    return Refused(
        f"{topic} stands still: {why}; what comes in it waits, and the other topics go on. Put the "
        f"producer or this program right, then: loyalty topics resume {topic} (with --as-dead-letters for what cannot "
        "be put right)"
    )
