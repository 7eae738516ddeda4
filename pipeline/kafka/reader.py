"""Reading ranges of partitions without joining a group; messages as records."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import methodcaller
from typing import NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.config import Settings
from pipeline.errors import Unreachable
from pipeline.kafka.client import consumer
from pipeline.records import Record

SILENCE_SECONDS = 30.0
"""How long news of a topic may take to reach every broker of a cluster."""
Range = tuple[int, int | None]
"""The first offset, and the one behind the last; ``None``: where the partition ends."""


@contextmanager
def reading(settings: Settings, name: str, group: str) -> Iterator[Consumer]:
    """A consumer for :func:`read_range`; it joins no group.

    Raises
    ------
    Unreachable
        The broker does not answer what is asked inside the block.
    """
    waiting_little = {"fetch.wait.max.ms": 20}  # partition after partition: none waits for the fetch of the one before
    reader = consumer(settings, name, group, **{"enable.partition.eof": True, **waiting_little})
    try:
        yield reader
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()


def _refuse(topic: str, error: KafkaError) -> NoReturn:
    raise Unreachable(f"{topic} cannot be read: {error.str()}")


def read_range(reader: Consumer, topic: str, partition: int, first: int, end: int | None = None) -> Iterator[Message]:
    """The records of one partition from ``first`` to before ``end``; everything else is as in :func:`read_ranges`."""
    return read_ranges(reader, {(topic, partition): (first, end)}, f"{topic} was read")


def read_ranges(
    reader: Consumer,
    ranges: Mapping[tuple[str, int], Range],
    doing: str = "the log was read",
    seconds: float = SILENCE_SECONDS,
    on_error: Callable[[str, KafkaError], object] = _refuse,
) -> Iterator[Message]:
    """The records in ranges of partitions, read side by side; those of one partition in the order of their offsets.

    A range ends at its own end, or where its partition ends: the last offsets may hold records that were compacted
    away, or markers of transactions. Of a range whose beginning has left the topic the rest is read. The reader must
    say where partitions end, as those of :func:`reading` do. ``on_error`` may let an error pass: the read goes on,
    until nothing has come for ``seconds``.

    Raises
    ------
    Unreachable
        The broker stopped answering.
    """
    ends = {place: end for place, (first, end) in ranges.items() if end is None or first < end}
    reader.assign([TopicPartition(*place, ranges[place][0]) for place in ends])
    answered = time.monotonic()
    while ends and time.monotonic() - answered < seconds:
        for message in reader.consume(10_000, 0.05):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                on_error(message.topic(), error)
                continue
            answered = time.monotonic()
            place = message.topic(), message.partition()
            if place not in ends:
                continue  # it was read to its end already
            end = ends[place]
            if error is None and (end is None or message.offset() < end):
                yield message
            if error is not None or (end is not None and message.offset() + 1 >= end):
                del ends[place]
    if ends:
        raise Unreachable(f"Kafka stopped answering while {doing}; try again")


_ask_headers = methodcaller("headers")
"""Not called as a method: the interpreter's shortcut for methods misses an error that comes along with a result."""


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """The headers, or none when a name among them is not UTF-8: the client cannot hand out the others then.

    A name ends at its first NUL, in reading and in writing.
    """
    try:
        return _ask_headers(message) or ()
    except (UnicodeDecodeError, SystemError):
        return ()


def header_of(message: Message, name: str) -> bytes:
    """One header, the last of its name; empty when there is none or it is null: anyone can write any header."""
    return dict(headers_of(message)).get(name) or b""


def record_of(message: Message, base: int = 0) -> Record:
    """A message as a record of the log; made past the constructor, which would take as long as all the rest.

    ``base`` is what its topic's offsets are counted from (:mod:`pipeline.kafka.incarnations`).
    """
    fields = (base + message.offset(), message.timestamp()[1], message.key(), message.value(), headers_of(message))
    return tuple.__new__(Record, fields)
