"""Whether the topics are those we have read so far, and begin no later than where we go on reading.

Rules
-----
- A process asks before it reads, and again while it runs: every :data:`WATCH_SECONDS`, and a sink once more between
  having read a batch and writing it, so that no row is made of a record under another incarnation's number.
- Nothing is decided here: who meets another topic, or records that are gone, refuses with one line that names the
  topic and the command that goes on (``loyalty topics accept``, :mod:`pipeline.operations.topic_acceptance`).
- The id of the list of erased customers, where all other ids stand, is also remembered in a commit: where the list
  itself was made again, nothing in it can say so.
"""

import contextlib
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)

from pipeline import kafka, watched
from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import GROUP as LIST_GROUP
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Transient, Unreachable
from pipeline.kafka.incarnations import Bases, Incarnation, Incarnations, key_of
from pipeline.kafka.stopped_inputs import GROUP as FUSE_GROUP
from pipeline.kafka.topic_refusals import Gone, again, lost, missing
from pipeline.topics import BY_NAME, INPUTS, STATES, SUPPRESSED, TOPICS, Topic

WATCH_SECONDS = 2.0
MISSING_SECONDS = 8.0
"""How long a topic must be unknown to count as gone: a broker that has just started may not know it yet."""
ANSWER_SECONDS = 10.0
WATCH_ANSWER_SECONDS = 1.5
"""How long a look waits for its answer; the next one follows soon."""
CAREFUL_SECONDS = 60.0
"""How long after a failure it is asked first whether the broker that has to answer is there."""
READERS: Mapping[str, Sequence[Topic]] = {"worker": INPUTS, "sink": TOPICS}
"""Whose commits say how far a topic was read."""
Ids = Mapping[str, str]
"""Topic ids by logical name."""
Place = tuple[str, int]
"""Logical topic and partition."""


class Topics:
    """The ids of the topics as a running process knows them, and whether they still are the broker's."""

    def __init__(self, settings: Settings, known: Ids, bases: Bases) -> None:
        self._settings = settings
        self._client = kafka.admin(settings)
        self._careful_until = 0.0
        self._missing_since: float | None = None
        self.known = known
        self.bases = bases

    def check(self) -> None:
        """Return when every topic is the one it was.

        Raises
        ------
        Refused
            One is another, or has been missing for a while.
        Unreachable
            The broker does not answer.
        """
        found = self._found()
        for topic, known in self.known.items():
            if found.get(topic, known) != known:
                raise again(self._settings, topic)
        absent = sorted(self.known.keys() - found.keys())
        now = time.monotonic()
        self._missing_since = (self._missing_since or now) if absent else None
        if self._missing_since is not None and now - self._missing_since > MISSING_SECONDS:
            raise missing(self._settings, absent[0])

    def _found(self) -> Ids:
        try:
            if time.monotonic() < self._careful_until:
                kafka.check_controller(self._client)
            return ids(self._settings, self._client, WATCH_ANSWER_SECONDS)
        except Transient:
            self._careful_until = time.monotonic() + CAREFUL_SECONDS
            raise

    def watch(self) -> None:
        """Look in a thread of its own; the process ends when a topic is another."""
        watched.live_or_end("topics", self._watch)

    def _watch(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(WATCH_SECONDS):
            with contextlib.suppress(Transient):  # away; whoever works will say so
                self.check()


def ids(settings: Settings, client: Any = None, seconds: float = ANSWER_SECONDS) -> dict[str, str]:
    """The topics' ids at the broker; a topic that it does not know is left out.

    Raises
    ------
    Unreachable
        The broker does not answer.
    """
    names = {settings.topic(topic.name): topic.name for topic in TOPICS}
    asked = client or kafka.admin(settings)  # must outlive its futures
    found: dict[str, str] = {}
    try:
        for name, answer in asked.describe_topics(TopicCollection(list(names)), request_timeout=seconds).items():
            try:
                found[names[name]] = str(answer.result(seconds + 1).topic_id)
            except KafkaException as failed:
                if failed.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
    except (KafkaException, TimeoutError) as failed:
        raise Unreachable(f"Kafka does not say which topics it has: {failed}") from None
    return found


class Reach(NamedTuple):
    """How far a reader's group has committed a partition, and from where to where it reaches; the broker's offsets."""

    reader: str
    topic: str
    partition: int
    committed: int
    low: int
    end: int


class Found(NamedTuple):
    """What is remembered of the topics, and what the broker says of them now."""

    known: Incarnations
    ids: Ids
    list_id: str
    """Which list of erased customers a commit remembers; empty: none does."""
    reaches: Sequence[Reach]

    def others(self) -> list[str]:
        """Topics that are not those that were read; those whose log was cut off are none any more either."""
        found = {one.topic for one in self.reaches if one.topic in self.ids and one.committed > one.end}
        found |= {name for name, id_ in self.ids.items() if (one := self.known.newest(name)) and one.id != id_}
        if self.list_id not in ("", self.ids.get(SUPPRESSED.name)):
            found.add(SUPPRESSED.name)
        return [topic.name for topic in TOPICS if topic.name in found]

    def gone(self, reader: str, passed: Mapping[Place, int]) -> list[Gone]:
        """Records that a reader did not read in time; below the offsets in ``passed`` that was accepted."""
        bases, found = self.known.bases(), []
        for _, topic, partition, committed, low, end in [one for one in self.reaches if one.reader == reader]:
            first = max(committed, passed.get((topic, partition), 0) - bases.get(topic, 0))
            if first < low and committed <= end:
                found.append(Gone(reader, topic, partition, first, low))
        return found


def look(settings: Settings, suppressions: Suppressions, readers: Iterable[str] = READERS) -> Found:
    """Ask the broker, and read the list to its end.

    Raises
    ------
    Unreachable
        The broker does not answer.
    """
    reaches = [reach for reader in readers for reach in _reaches(settings, reader)]
    return Found(suppressions.read().incarnations, ids(settings), remembered_list(settings), reaches)


def agreed(settings: Settings, suppressions: Suppressions, process: str, passed: Mapping[Place, int]) -> Topics:
    """What a process of a kind may go on reading. ``passed`` are offsets below which lost records were accepted.

    Raises
    ------
    Refused
        A topic is another than before, or lost records that were not read.
    Transient
        The broker does not answer.
    """
    check(settings, found := look(settings, suppressions, [process]), process, passed)
    if first := {n: Incarnation(0, id_) for n, id_ in found.ids.items() if found.known.newest(n) is None}:
        remember(settings, first)
        check(settings, found := look(settings, suppressions, [process]), process, passed)
    if not found.list_id:
        remember_list(settings, found.ids[SUPPRESSED.name])
    return Topics(settings, found.ids, found.known.bases())


def check(
    settings: Settings, found: Found, process: str, passed: Mapping[Place, int], besides: Collection[str] = ()
) -> None:
    """Refuse what keeps a process from going on; topics in ``besides`` may be others."""
    for topic in found.others():
        if topic not in besides:
            raise again(settings, topic)
    for one in found.gone(process, passed):
        raise lost(settings, one)


def _reaches(settings: Settings, reader: str) -> list[Reach]:
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


def go_on_with(settings: Settings, found: Found, topic: str, crash: CrashPoints, after: int = -1) -> None:
    """Go on with a topic as it is now, from its beginning: everything in it is new.

    First the groups go to its beginning, then it is remembered; killed in between, it is done again. Where only the
    warehouse knew another topic, the workers stay where they are. ``after`` is the highest number that the warehouse
    knows an incarnation by.

    Raises
    ------
    Transient
        The broker does not take it, for instance because a worker or a sink runs.
    """
    readers = READERS if topic in found.others() else ["sink"]
    for reader in readers:
        if BY_NAME[topic] in READERS[reader]:
            _go_to_beginning(settings, reader, topic)
    for group, own in ((LIST_GROUP, [SUPPRESSED]), (FUSE_GROUP, INPUTS)):
        if BY_NAME[topic] in own:
            _go_to_beginning(settings, group, topic)
    crash.reached(Point.ACCEPT_RESET)
    known = found.known.newest(topic)
    number = max(after, known.number if known is not None else -1) + 1
    remember(settings, {topic: Incarnation(number, found.ids[topic])})


def _go_to_beginning(settings: Settings, reader: str, topic: str) -> None:
    places = [TopicPartition(settings.topic(topic), n) for n in range(settings.partitions)]
    client = kafka.consumer(settings, "reach", settings.group(reader))
    try:
        lows = _asked(client, places, OFFSET_BEGINNING)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not say where {topic} begins: {failed.args[0].str()}") from None
    finally:
        client.close()
    commit(settings, reader, [TopicPartition(name, n, low) for (name, n), low in lows.items()])


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
        [found] = client.committed([TopicPartition(settings.topic(STATES.name), 0)], timeout=ANSWER_SECONDS)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        client.close()
    said = kafka.said(found)
    return said.removeprefix(_LIST) if found.offset >= 0 and said.startswith(_LIST) else ""


def remember_list(settings: Settings, id_: str) -> None:
    """Say which list of erased customers is the right one."""
    commit(settings, LIST_GROUP, [TopicPartition(settings.topic(STATES.name), 0, 0, _LIST + id_)])


def skip(settings: Settings, gone: Iterable[Gone]) -> None:
    """Let the workers go on behind records that are gone.

    What the commits said beside the offset goes too: then more alerts are compared with the states, and nothing else.
    """
    commit(settings, "worker", [TopicPartition(settings.topic(g.topic), g.partition, g.below) for g in gone])


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
