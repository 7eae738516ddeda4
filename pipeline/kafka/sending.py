"""Records on their way: done when the broker has confirmed every one of them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.errors import LoyaltyError, Transient, Unreachable
from pipeline.kafka.client import Headers

FLUSH_SECONDS = 30.0
"""How long the broker may take to confirm what it was sent."""


class Sending:
    """A set of records on their way: done when the broker has confirmed every one of them."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._lock = threading.Lock()
        self._pending = 1  # one for the sender itself, until it has handed over everything
        self._failure: str | None = None
        self._when_done: Callable[[str | None], object] | None = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        partition: int = -1,
        confirmed: Callable[[int], object] | None = None,
    ) -> None:
        """Hand over one record; waits when librdkafka's queue is full. ``confirmed`` is told its offset."""
        with self._lock:
            self._pending += 1
        delivered = self._delivered if confirmed is None else partial(self._delivered, confirmed=confirmed)
        self._produce(topic, key, value, headers, partition, delivered)

    def send_in_order(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes, bytes, Headers]],
        confirmed: Callable[[int], object],
    ) -> None:
        """Hand over records (key, value, headers) of one partition; everything is as with :meth:`send_batch`."""
        last = len(records) - 1
        for number, (key, value, headers) in enumerate(records):
            if number in (0, last):
                self.send(topic, key, value, headers, partition, confirmed)
            else:
                self._produce(topic, key, value, headers, partition, None)

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        partition: int,
        delivered: Callable[[KafkaError | None, Any], None] | None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, delivered, headers=headers)
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as refused:  # librdkafka itself does not take it: it is too large, say
                self._refused(f"{topic}: {refused.args[0].str()}", expected=delivered is not None)
                return
            else:
                return

    def _refused(self, failure: str, *, expected: bool) -> None:
        """A record was not taken; ``expected``: its confirmation was waited for."""
        if expected:
            self._settle(failure)
        else:
            with self._lock:
                self._failure = self._failure or failure

    def send_batch(
        self, topic: str, partition: int, messages: list[dict[str, Any]], confirmed: Callable[[int], object]
    ) -> None:
        """Hand over records (``key`` and ``value``) of one partition; the first and the last are told to ``confirmed``.

        The producer is idempotent and keeps the order of a partition: where the last lies as far behind the first as
        there are records between them, all of them are in the log.
        """
        ends = messages[:1] if len(messages) == 1 else [messages[0], messages[-1]]
        with self._lock:
            self._pending += len(ends)
        for message in ends:
            message["callback"] = partial(self._delivered, confirmed=confirmed)
        taken = self._producer.produce_batch(topic, messages, partition)
        if taken != len(messages):
            raise Transient(f"{topic}: librdkafka took {taken} of {len(messages)} records")

    def finish(self, when_done: Callable[[str | None], object]) -> None:
        """No more records follow; ``when_done`` is called once, from any thread, with a failure or ``None``."""
        self._when_done = when_done
        self._settle(None)

    def _delivered(
        self, error: KafkaError | None, message: Any, confirmed: Callable[[int], object] | None = None
    ) -> None:
        if error is None and confirmed is not None:
            confirmed(message.offset())
        self._settle(f"{message.topic()}: {error.str()}" if error is not None else None)

    def _settle(self, failure: str | None) -> None:
        with self._lock:
            self._failure = self._failure or failure
            self._pending -= 1
            is_last = self._pending == 0
        if is_last and self._when_done is not None:
            self._when_done(self._failure)


@contextmanager
def send_confirmed(
    producer: Producer, refused: Callable[[Sequence[str | None]], LoyaltyError], seconds: float = FLUSH_SECONDS
) -> Iterator[Sending]:
    """Records that are sent inside the block are all confirmed by the broker when it is left.

    ``refused`` makes the failure of what the broker said of them instead.

    Raises
    ------
    Unreachable
        They were not confirmed within ``seconds``.
    """
    sending, failures = Sending(producer), list[str | None]()
    yield sending
    sending.finish(failures.append)
    flush(producer, seconds)
    if failures != [None]:
        raise refused(failures)


def flush(producer: Producer, seconds: float = FLUSH_SECONDS) -> None:
    """Wait until everything handed over is confirmed.

    Raises
    ------
    Unreachable
        It was not, within ``seconds``.
    """
    left = producer.flush(seconds)
    if left:
        raise Unreachable(f"Kafka did not confirm {left} records within {seconds:.0f} s")
