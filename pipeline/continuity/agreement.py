"""Compares the remembered ids of the topics with the broker's, and remembers new ones."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.continuity.ids import ANSWER_SECONDS, Ids, Topics, ids
from pipeline.continuity.positions import READERS, Place, Reach, commit, go_to_beginning, reaches
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import GROUP as LIST_GROUP
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Transient, Unreachable
from pipeline.kafka.incarnations import Incarnation, Incarnations, key_of
from pipeline.kafka.stopped_inputs import GROUP as FUSE_GROUP
from pipeline.kafka.topic_refusals import Gone, again, lost
from pipeline.topics import ALERTS, BY_NAME, INPUTS, STATES, SUPPRESSED, TOPICS


class TopicsFound(NamedTuple):
    """The remembered ids of the topics, and the broker's answers about them now."""

    known: Incarnations
    ids: Ids
    list_id: str
    """Which list of erased customers a commit remembers; empty: none does."""
    reaches: Sequence[Reach]

    def others(self) -> list[str]:
        """Topics that are not those that were read; those whose log was cut off are none any more either."""
        others = {one.topic for one in self.reaches if one.topic in self.ids and one.committed > one.end}
        others |= {name for name, id_ in self.ids.items() if (one := self.known.newest(name)) and one.id != id_}
        if self.list_id not in ("", self.ids.get(SUPPRESSED.name)):
            others.add(SUPPRESSED.name)
        return [topic.name for topic in TOPICS if topic.name in others]

    def gone(self, reader: str, passed: Mapping[Place, int]) -> list[Gone]:
        """Records that a reader did not read in time; below the offsets in ``passed`` that was accepted."""
        bases, gone = self.known.bases(), []
        for _, topic, partition, committed, low, end in [one for one in self.reaches if one.reader == reader]:
            first = max(committed, passed.get((topic, partition), 0) - bases.get(topic, 0))
            if first < low and committed <= end:
                gone.append(Gone(reader, topic, partition, first, low))
        return gone


def look(settings: Settings, suppressions: Suppressions, readers: Iterable[str] = READERS) -> TopicsFound:
    """Ask the broker, and read the list to its end.

    Raises
    ------
    Unreachable
        The broker does not answer.
    """
    known = [reach for reader in readers for reach in reaches(settings, reader)]
    return TopicsFound(suppressions.read().incarnations, ids(settings), remembered_list(settings), known)


def agreed(settings: Settings, suppressions: Suppressions, process: str, passed: Mapping[Place, int]) -> Topics:
    """The topics that a process may go on reading. ``passed`` are offsets below which lost records were accepted.

    Raises
    ------
    Refused
        A topic is another than before, or lost records that were not read.
    Transient
        The broker does not answer.
    """
    check(settings, topics := look(settings, suppressions, [process]), process, passed)
    if first := {n: Incarnation(0, id_) for n, id_ in topics.ids.items() if topics.known.newest(n) is None}:
        remember(settings, first)
        check(settings, topics := look(settings, suppressions, [process]), process, passed)
    if not topics.list_id:
        remember_list(settings, topics.ids[SUPPRESSED.name])
    return Topics(settings, topics.ids, topics.known.bases())


def check(
    settings: Settings, topics: TopicsFound, process: str, passed: Mapping[Place, int], excepted: Collection[str] = ()
) -> None:
    """Refuse what keeps a process from going on; topics in ``excepted`` may be others."""
    for topic in topics.others():
        if topic not in excepted:
            raise again(settings, topic)
    for one in topics.gone(process, passed):
        raise lost(settings, one)


def go_on_with(settings: Settings, topics: TopicsFound, topic: str, crash: CrashPoints, after: int = -1) -> None:
    """Go on with a topic as it is now, from its beginning: everything in it is new.

    First the groups go to its beginning, then it is remembered; killed in between, it is done again. Where only the
    warehouse knew another topic, the workers stay where they are. ``after`` is the highest number that the warehouse
    knows an incarnation by.

    Raises
    ------
    Transient
        The broker does not take it, for instance because a worker or a sink runs.
    """
    readers = READERS if topic in topics.others() else ["sink"]
    for reader in readers:
        if BY_NAME[topic] in READERS[reader] and (reader != "notifier" or _notified(settings)):
            go_to_beginning(settings, reader, topic)
    for group, own in ((LIST_GROUP, [SUPPRESSED]), (FUSE_GROUP, INPUTS)):
        if BY_NAME[topic] in own:
            go_to_beginning(settings, group, topic)
    crash.reached(Point.ACCEPT_RESET)
    known = topics.known.newest(topic)
    number = max(after, known.number if known is not None else -1) + 1
    remember(settings, {topic: Incarnation(number, topics.ids[topic])})


def _notified(settings: Settings) -> bool:
    """Whether there ever was a notifier: one that never committed begins at the end, and tells nobody what is old."""
    return bool(kafka.committed(settings, settings.group("notifier"), [ALERTS]))


def remember(settings: Settings, incarnations: Mapping[str, Incarnation]) -> None:
    """Write incarnations into the list.

    Raises
    ------
    Transient
        The broker did not take them.
    """
    producer = kafka.producer(settings, "topics")
    with kafka.send_confirmed(producer, _not_taken) as sending:
        for topic, one in incarnations.items():
            sending.send(settings.topic(SUPPRESSED.name), key_of(topic, one), b"{}", partition=0)


def _not_taken(failures: Sequence[str | None]) -> Transient:
    return Transient(f"Kafka did not take the ids of the topics ({failures}); run it again")


_LIST = "list "


def remembered_list(settings: Settings) -> str:
    """The id of the list of erased customers as a commit knows it, empty when none does."""
    client = kafka.consumer(settings, "topics", settings.group(LIST_GROUP))
    try:
        [answer] = client.committed([TopicPartition(settings.topic(STATES.name), 0)], timeout=ANSWER_SECONDS)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        client.close()
    note = kafka.commit_note(answer)
    return note.removeprefix(_LIST) if answer.offset >= 0 and note.startswith(_LIST) else ""


def remember_list(settings: Settings, id_: str) -> None:
    """Say which list of erased customers is the right one."""
    commit(settings, LIST_GROUP, [TopicPartition(settings.topic(STATES.name), 0, 0, _LIST + id_)])


def skip(settings: Settings, gone: Iterable[Gone]) -> None:
    """Let the workers go on behind records that are gone.

    What the commits said besides the offset goes too: then more alerts are compared with the states, and nothing else.
    """
    commit(settings, "worker", [TopicPartition(settings.topic(g.topic), g.partition, g.below) for g in gone])
