"""Kafka through librdkafka: clients, topics, and confirmed sends. One place for what every client must have alike."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import methodcaller
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from pipeline import credentials, loopback
from pipeline.config import Settings
from pipeline.errors import Refused, Transient, Unreachable
from pipeline.notes import opened
from pipeline.records import Record
from pipeline.topics import DEAD_LETTERS, TOPICS, Topic

Headers = list[tuple[str, bytes | None]]
MAX_BYTES = DEAD_LETTERS.max_record_bytes
SPREAD_SECONDS = 10.0
LEADER_SECONDS = 10.0
"""How long a partition may be without a leader: one that was just created or moved has none for a moment."""
LEADER_CHANGES = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
SILENCE_SECONDS = 30.0
"""How long news of a topic may take to reach every broker of a cluster."""


def client_config(settings: Settings, name: str) -> dict[str, Any]:
    """What every client of ours shares; librdkafka's own log lines are left to its error callback."""
    return {
        "bootstrap.servers": settings.kafka,
        **credentials.for_librdkafka(settings),
        "client.id": f"loyalty-{name}",
        "log_level": 2,
        "error_cb": _ignore,
        "reconnect.backoff.max.ms": 1000,
        "socket.keepalive.enable": True,
    }


def _ignore(_error: KafkaError) -> None:
    """librdkafka reconnects by itself; a failure that matters reaches the caller of the operation."""


def producer(settings: Settings, name: str, **more: Any) -> Producer:
    """A producer with Kafka's own partitioner (librdkafka's default is another) and every guarantee on."""
    return Producer(
        {
            **client_config(settings, name),
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": 2 * MAX_BYTES,  # what counts at the broker is the compressed size
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 512 * 1024,
            **more,
        }
    )


def consumer(settings: Settings, name: str, group: str, **more: Any) -> Consumer:
    """A consumer that commits only when told to."""
    return Consumer(
        {
            **client_config(settings, name),
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "fetch.max.bytes": 64 * 1024 * 1024,
            "receive.message.max.bytes": 96 * 1024 * 1024,
            "queued.max.messages.kbytes": 64 * 1024,
            **more,
        }
    )


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
            done = self._pending == 0
        if done and self._when_done is not None:
            self._when_done(self._failure)


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

    ``base`` is what its topic's offsets are counted from (:mod:`pipeline.incarnations`).
    """
    fields = (base + message.offset(), message.timestamp()[1], message.key(), message.value(), headers_of(message))
    return tuple.__new__(Record, fields)


def flush(producer: Producer, seconds: float = 30.0) -> None:
    """Wait until everything handed over is confirmed.

    Raises
    ------
    Unreachable
        It was not, within ``seconds``.
    """
    left = producer.flush(seconds)
    if left:
        raise Unreachable(f"Kafka did not confirm {left} records within {seconds:.0f} s")


def admin(settings: Settings) -> AdminClient:
    """An admin client."""
    return AdminClient(client_config(settings, "admin"))


def check_controller(client: AdminClient, seconds: float = 2.0) -> None:
    """Fail while the broker that answers administrative requests is away.

    librdkafka (2.16) would connect to it without a pause as long as the request waits, which keeps a core busy.

    Raises
    ------
    Unreachable
        It is, or no broker says who it is.
    """
    try:
        known = client.list_topics(timeout=seconds)
        controller = known.brokers[known.controller_id]
        loopback.reached(controller.host, controller.port, seconds)
    except (KafkaException, KeyError, OSError) as failed:
        raise Unreachable(f"Kafka's controller does not answer: {failed}") from None


def metadata(settings: Settings, seconds: float = 5.0) -> Any:
    """The cluster's metadata.

    Raises
    ------
    Unreachable
        No broker answered.
    Refused
        One did, but not to us.
    """
    met: list[KafkaError] = []
    client = AdminClient(client_config(settings, "admin") | {"error_cb": met.append})
    try:
        _check_someone_listens(settings)
        return _asked_in_turns(client, seconds, lambda: credentials.check_refusals(settings, met))
    except (KafkaException, OSError):
        raise Unreachable(
            f"Kafka does not answer at {settings.kafka}. Start it (`loyalty up`), or set LOYALTY_KAFKA "
            "to an address that does."
        ) from None


def _asked_in_turns(client: AdminClient, seconds: float, check: Callable[[], None]) -> Any:
    """The metadata; after each second without them ``check`` is called: it may know that waiting is of no use."""
    end = time.monotonic() + seconds
    while True:
        try:
            return client.list_topics(timeout=min(seconds, 1.0))
        except KafkaException:
            client.poll(0)  # hands over what the client met
            check()
            if time.monotonic() > end:
                raise


def _check_someone_listens(settings: Settings) -> None:
    """Fail at once where no port is open; librdkafka would go on trying until its time is up.

    The failure is a new one: one that is kept in a variable here keeps, through its traceback, the caller's client.
    """
    for address in settings.kafka.split(","):
        host, _, port = address.strip().rpartition(":")
        with contextlib.suppress(OSError):
            return loopback.reached(host.strip("[]"), int(port))
    raise ConnectionRefusedError(settings.kafka)


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and verify the others; returns the names of those created."""
    existing = set(metadata(settings).topics)
    missing = [topic for topic in TOPICS if settings.topic(topic.name) not in existing]
    confirming = {"min.insync.replicas": str(max(1, settings.replication - 1))}  # one replica may be away
    new = [
        NewTopic(settings.topic(t.name), settings.partitions, settings.replication, config=t.config() | confirming)
        for t in missing
    ]
    if new:
        client = admin(settings)  # must outlive its futures
        for name, future in client.create_topics(new, operation_timeout=20).items():
            try:
                future.result(30)
            except KafkaException as failed:
                if failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Refused(f"topic {name} could not be created: {failed.args[0].str()}") from None
    _verify_once_known(settings, SPREAD_SECONDS if new else 0.0)
    return [topic.name for topic in missing]


def _verify_once_known(settings: Settings, seconds: float) -> None:
    """Verify; the answer may come from a broker that has not heard of a new topic yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            return verify_topics(settings)
        except (Refused, Transient):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def verify_topics(settings: Settings) -> None:
    """Check that every topic exists with the configured partitions, append time and compaction.

    Raises
    ------
    Refused
        One line that names the topic, what is wrong and the remedy.
    """
    known = metadata(settings).topics
    for topic in TOPICS:
        found = known.get(settings.topic(topic.name))
        if found is None or found.error is not None:
            raise Refused(f"topic {settings.topic(topic.name)} is missing; create the topics: loyalty topics create")
        if len(found.partitions) != settings.partitions:
            raise Refused(
                f"topic {settings.topic(topic.name)} has {len(found.partitions)} partitions, LOYALTY_PARTITIONS says "
                f"{settings.partitions}. All topics need the same number; set it to what the topics have."
            )
    _verify_settings(settings)


def _verify_settings(settings: Settings) -> None:
    described = topic_settings(settings, TOPICS)
    for topic in TOPICS:
        for key in ("message.timestamp.type", "cleanup.policy"):
            wanted, found = topic.config()[key], described[topic.name][key]
            if wanted != found:
                raise Refused(
                    f"topic {settings.topic(topic.name)} has {key}={found}, needs {wanted}. "
                    f"Change it with Kafka's own tools: kafka-configs --alter --add-config {key}={wanted}"
                )


def topic_settings(settings: Settings, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    """The broker's settings of topics, by logical name.

    Raises
    ------
    Transient
        They cannot be read.
    """
    resources = {ConfigResource(ResourceType.TOPIC, settings.topic(topic.name)): topic for topic in topics}
    client = admin(settings)  # must outlive its futures
    try:
        answers = client.describe_configs(list(resources))
        return {
            resources[resource].name: {name: entry.value for name, entry in future.result(10).items()}
            for resource, future in answers.items()
        }
    except KafkaException as failed:
        raise Transient(f"the topics' settings cannot be read: {failed.args[0].str()}") from None


def _ends(reader: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset of a partition; asked again for a while where its leader changes."""
    until = time.monotonic() + LEADER_SECONDS
    while True:
        try:
            return reader.get_watermark_offsets(place, timeout=10)  # type: ignore[no-any-return]
        except KafkaException as failed:
            if failed.args[0].code() not in LEADER_CHANGES or time.monotonic() > until:
                raise
            time.sleep(0.2)


def end_offsets(settings: Settings, topics: Sequence[Topic]) -> dict[tuple[str, int], tuple[int, int]]:
    """First and next offset of every partition, by logical topic name and partition."""
    known = metadata(settings).topics
    reader = consumer(settings, "offsets", settings.group("offsets"))
    try:
        found: dict[tuple[str, int], tuple[int, int]] = {}
        for topic in topics:
            name = settings.topic(topic.name)
            if name not in known:
                raise Refused(f"topic {name} is missing; create the topics: loyalty topics create")
            for partition in known[name].partitions:
                found[topic.name, partition] = _ends(reader, TopicPartition(name, partition))
        return found
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()


def said(commit: TopicPartition) -> str:
    """What a commit of a client of this library says beside its offset.

    Nothing, where another client wrote it and what is read in its place is no text, see :mod:`pipeline.notes`.
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
        found = reader.get_watermark_offsets(TopicPartition(settings.topic(topic.name), partition), timeout=10)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
    finally:
        reader.close()
    return int(found[1])


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


def members(settings: Settings, group: str, seconds: float = 30.0) -> int:
    """How many processes are in a consumer group now; one that was killed counts until its session ends.

    A broker that has just started does not know yet who coordinates the group; it is asked again.
    """
    metadata(settings)
    client = admin(settings)  # its answers come only as long as it lives
    end = time.monotonic() + seconds
    while True:
        try:
            return len(client.describe_consumer_groups([group], request_timeout=10)[group].result(11).members)
        except KafkaException as failed:
            if failed.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            if time.monotonic() > end:
                raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None
            time.sleep(0.3)


def staying(settings: Settings, group: str, seconds: float) -> int:
    """How many are still in a consumer group after ``seconds``; 0 as soon as nobody is."""
    end = time.monotonic() + seconds
    while (found := members(settings, group)) and time.monotonic() <= end:
        time.sleep(0.5)
    return found
