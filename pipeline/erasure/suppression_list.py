"""The list of erased customers: the compacted topic ``suppressed``, kept for ever.

Rules
-----
- A record's key is the SHA-256 of a customer's id, in hexadecimal; its value says when and why. Nobody leaves the list.
- Every entry stands in every partition. A worker says with a commit up to where it has put the list into force in a
  partition it holds: from then on nothing new of those customers leaves that partition.
- Beside the customers it holds the ids of the topics (:mod:`pipeline.kafka.incarnations`).
- A sink has no such commit. It reads the list to its end after it has recorded what it is about to write, so whoever
  adds an entry sees what was recorded before it.
"""

import re
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline import kafka, retries
from pipeline.config import Settings
from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.state.suppression import digest_of
from pipeline.errors import Refused, Transient, Unreachable
from pipeline.kafka.incarnations import Incarnations
from pipeline.retries import retry
from pipeline.topics import SUPPRESSED

SECONDS = 10.0
"""How long the broker may take to answer."""
STALE_SECONDS = 2.0
"""A client that fails and is older than this is replaced: what it knows of leaders may be of before they changed."""
GROUP = "suppressed"
"""The group in whose name workers say how far the list is in force."""
_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_DIGEST = re.compile(rb"[0-9a-f]{64}")


class Suppression(msgspec.Struct, frozen=True):
    """One entry: when a customer was put on the list, why (a code), and the receipt of their erasure."""

    suppressed_at: datetime
    reason: str
    receipt_id: str


_entry = msgspec.json.Decoder(Suppression)


class Entry(NamedTuple):
    """A customer on the list; what an entry says may be unreadable, that they are on it is not."""

    digest: bytes
    suppression: Suppression | None


class Suppressions:
    """The list as far as it was read. Reading is for one thread at a time, looking for any."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic(SUPPRESSED.name)
        self._entries: dict[bytes, Suppression | None] = {}
        self._passed: dict[int, int] = dict.fromkeys(range(settings.partitions), 0)
        self.incarnations = Incarnations()
        self._lock = threading.Lock()
        self._asker = _Asker(settings, self._topic)
        self._reader: Any = None

    @property
    def digests(self) -> Collection[bytes]:
        """Everybody on the list; grows while it is looked at."""
        return self._entries.keys()

    def entry(self, customer_id: str) -> Entry | None:
        """A customer's entry, ``None`` when they are not on the list."""
        digest = digest_of(customer_id.encode())
        return Entry(digest, self._entries[digest]) if digest in self._entries else None

    def passed(self, partition: int) -> int:
        """Up to where a partition was read."""
        return self._passed[partition]

    def read(self) -> "Suppressions":
        """Read on to where the list ends now.

        Raises
        ------
        Unreachable
            The broker does not answer.
        Refused
            There is no such topic yet.
        """
        with self._lock:
            self._read_to(self._asker.ends())
        return self

    def _read_to(self, ends: dict[int, int]) -> None:
        if all(self._passed[partition] >= end for partition, end in ends.items()):
            return
        if self._reader is None:
            self._reader = kafka.consumer(
                self._settings, GROUP, self._settings.group(GROUP), **{"enable.partition.eof": True}
            )
        unread = {(self._topic, n): (self._passed[n], end) for n, end in ends.items()}
        try:
            for message in kafka.read_ranges(self._reader, unread, seconds=SECONDS, on_error=_wait):
                self._take(message)
        except Unreachable:
            raise Unreachable("the list of erased customers cannot be read to its end") from None
        self._passed |= {n: max(end, self._passed[n]) for n, end in ends.items()}

    def _take(self, message: Message) -> None:
        partition = message.partition()
        if partition != 0 or not self.incarnations.note(message.key()):
            self._note(message.key(), message.value())
        self._passed[partition] = message.offset() + 1

    def _note(self, key: bytes | None, value: bytes | None) -> None:
        """Take an entry; what is no entry was written by somebody else."""
        if key is None or _DIGEST.fullmatch(key) is None:
            return
        suppression = suppression_in(value)
        digest = bytes.fromhex(key.decode())
        self._entries[digest] = suppression or self._entries.get(digest)

    def in_force(self, partition: int, until: int) -> None:
        """Say that everything below the offset ``until`` is enforced in a partition.

        Raises
        ------
        Transient
            The broker does not take it.
        """
        with self._lock:
            try:
                self._reader.commit(offsets=[TopicPartition(self._topic, partition, until)], asynchronous=False)
            except KafkaException as failed:
                raise Transient(f"how far the list is heeded was not noted: {failed.args[0].str()}") from None

    def close(self) -> None:
        """Stop reading."""
        self._asker.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _wait(_topic: str, _error: KafkaError) -> None:
    """A broker that has just started may not know the topic yet."""


class _Asker:
    """Asks where the list ends, with a client of its own: one that fetches makes a question wait for its fetch.

    It asks as a consumer does. librdkafka's administrative question for offsets (``list_offsets``, 2.16) connects to a
    leader that is gone 20,000 times a second.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._asked = [TopicPartition(topic, n, OFFSET_END) for n in range(settings.partitions)]
        self._topic = topic
        self._client: Consumer | None = None
        self._made = 0.0

    def ends(self) -> dict[int, int]:
        """Where each partition ends; a leader that has just changed is asked again.

        Raises
        ------
        Unreachable
            The broker does not answer.
        Refused
            There is no such topic yet.
        """
        end = time.monotonic() + SECONDS
        try:
            return retry(
                retries.ERASED_LIST, self._may_pass,
                lambda: self._ends(min(STALE_SECONDS, max(0.1, end - time.monotonic()))),
            )  # fmt: skip
        except KafkaException as failed:
            raise Unreachable(
                f"Kafka does not say where the list of erased customers ends: {failed.args[0].str()}"
            ) from None

    def _may_pass(self, failed: Exception) -> bool:
        """Whether to ask again, with a new client where this one is old."""
        if not isinstance(failed, KafkaException):
            return False
        if failed.args[0].code() in _MISSING and not self._exists():  # a client says so of a broker that is away, too
            raise Refused(f"topic {self._topic} is missing; create the topics: loyalty topics create") from None
        if time.monotonic() - self._made > STALE_SECONDS:
            self.close()
        return True

    def _exists(self) -> bool:
        return self._topic in kafka.metadata(self._settings).topics

    def _ends(self, seconds: float) -> dict[int, int]:
        if self._client is None:
            self._client = kafka.consumer(self._settings, GROUP, self._settings.group(GROUP))
            self._made = time.monotonic()
        answers = self._client.offsets_for_times(self._asked, timeout=seconds)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {answer.partition: answer.offset for answer in answers}

    def close(self) -> None:
        """Ask with a new client the next time."""
        if self._client is not None:
            self._client.close()
            self._client = None


def suppression_in(value: bytes | None) -> Suppression | None:
    """The suppression in an entry, ``None`` when it cannot be read."""
    try:
        return _entry.decode(value or b"")
    except UNREADABLE:
        return None


def suppress(settings: Settings, customer_id: str, suppression: Suppression) -> dict[int, int]:
    """Put a customer on the list; returns the offset of the entry in each partition, once the broker has them all.

    Raises
    ------
    Transient
        The broker did not take all of them; doing it again is right.
    """
    return put(settings, {digest_of(customer_id.encode()).hex(): suppression})


def put(settings: Settings, entries: Mapping[str, Suppression]) -> dict[int, int]:
    """Put customers on the list, by the digests of their ids in hexadecimal; as :func:`suppress`."""
    producer = kafka.producer(settings, "erase")
    places: dict[int, int] = {}
    with kafka.send_confirmed(producer, _not_taken) as sending:
        for digest, suppression in entries.items():
            for partition in range(settings.partitions):
                sending.send(
                    settings.topic(SUPPRESSED.name), digest.encode(), msgspec.json.encode(suppression),
                    partition=partition,
                    confirmed=partial(places.__setitem__, partition),
                )  # fmt: skip
    return places


def _not_taken(failures: Sequence[str | None]) -> Transient:
    return Transient(f"Kafka did not take the entry in the list of erased customers ({failures}); run it again")


def is_enforced(settings: Settings, places: dict[int, int]) -> bool:
    """Whether the workers have put the entries at these offsets into force."""
    reached = kafka.committed(settings, settings.group(GROUP), [SUPPRESSED])
    return all(reached.get((SUPPRESSED.name, partition), 0) > offset for partition, offset in places.items())
