"""Reading a range of a partition beside the group's members; messages as records."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import methodcaller

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.config import Settings
from pipeline.errors import Unreachable
from pipeline.kafka.client import consumer
from pipeline.records import Record

SILENCE_SECONDS = 30.0
"""How long news of a topic may take to reach every broker of a cluster."""


@contextmanager
def reading(settings: Settings, name: str, group: str) -> Iterator[Consumer]:
    """A consumer for :func:`records`, beside the group's members.

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


def records(reader: Consumer, topic: str, partition: int, first: int, last: int | None = None) -> Iterator[Message]:
    """The records of a partition from ``first`` to its end, or to ``last``; the reader must be told of ends.

    Raises
    ------
    Unreachable
        The broker stopped answering.
    """
    reader.assign([TopicPartition(topic, partition, first)])
    answered = time.monotonic()
    while time.monotonic() - answered < SILENCE_SECONDS:
        for message in reader.consume(10_000, 0.05):
            answered = time.monotonic()
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None:
                raise Unreachable(f"{topic} cannot be read: {error.str()}")
            if last is not None and message.offset() > last:
                return
            yield message
            if message.offset() == last:
                return
    raise Unreachable(f"Kafka stopped answering while {topic} was read; try again")


_ask_headers = methodcaller("headers")
"""Not called as a method: the interpreter's shortcut for methods misses the error the client sets beside a result."""


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
