"""Clients of Kafka (librdkafka), and what all of them have alike; the cluster's metadata."""

import contextlib
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from pipeline import loopback
from pipeline.config import Settings
from pipeline.errors import Unreachable
from pipeline.kafka import security
from pipeline.topics import DEAD_LETTERS
from pipeline.waiting import wait_until

MAX_BYTES = DEAD_LETTERS.max_record_bytes


Headers = list[tuple[str, bytes | None]]


def client_config(settings: Settings, name: str) -> dict[str, Any]:
    """The settings all our clients share; librdkafka's own log lines are left to its error callback."""
    return {
        "bootstrap.servers": settings.kafka,
        **security.for_librdkafka(settings),
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


def admin(settings: Settings) -> AdminClient:
    """An admin client."""
    return AdminClient(client_config(settings, "admin"))


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
    except OSError:
        answer = None
    else:
        answer = wait_until(
            lambda: _metadata_within(client, min(seconds, 1.0), lambda: security.check_refusals(settings, met)),
            seconds=seconds, pause=0.0,
        )  # fmt: skip
    if answer is None:
        raise Unreachable(
            f"Kafka does not answer at {settings.kafka}. Start it (`loyalty up`), or set LOYALTY_KAFKA "
            "to an address that does."
        )
    return answer


def _metadata_within(client: AdminClient, seconds: float, check: Callable[[], None]) -> Any:
    """The metadata, or ``None`` after ``check`` was called: it may know that waiting is of no use."""
    try:
        return client.list_topics(timeout=seconds)
    except KafkaException:
        client.poll(0)  # hands over what the client met
        check()
        return None


def _check_someone_listens(settings: Settings) -> None:
    """Fail at once where no port is open; librdkafka would go on trying until its time is up.

    The failure is a new one: one that is kept in a variable here keeps, through its traceback, the caller's client.
    """
    for address in settings.kafka.split(","):
        host, _, port = address.strip().rpartition(":")
        with contextlib.suppress(OSError):
            return loopback.reached(host.strip("[]"), int(port))
    raise ConnectionRefusedError(settings.kafka)
