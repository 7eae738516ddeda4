"""A log of some size that a worker has been over, made once and laid under the tests that kill, freeze and rebalance.

At a toy's volume much cannot go wrong: a commit's note is short, a recovery is one batch, a slice is the whole log. So
each partition holds at least ``EVENTS`` events and ``ALERTS`` alerts before anything happens. The log is made by the
worker itself, from lives of a simulated population, each lived by many twins of other names; it is compared with the
reference once, and kept for everybody who runs in the same test session. A test gets its records, in its own topics at
the same offsets, with the worker's states and commits, and the reference goes on from where it stood.
"""

import asyncio
import fcntl
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer
from confluent_kafka import TopicPartition
from faust.types import TP

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.risk.alerts import alert_id
from pipeline.operations.lag import wait_until_done
from pipeline.topics import ALERTS, DEAD_LETTERS, ERROR_HEADERS, INPUTS, PURCHASES, STATES, Topic
from pipeline.worker.commits import committed
from tests.faults.brokers import Brokers
from tests.faults.field import Field, Sent, traffic
from tests.faults.oracle import FOLDED, Expected, Folded, Logged, check_kafka, read_log

EVENTS = 10_000
TOLD = 200
PARTITIONS = Settings().partitions
LIVES, SEED, DAYS = 500, 900, 400
REGULARS, OFTEN = 12, 300
"""Customers who buy more often than a state remembers, and how often."""
FIRST_DAY = date(2023, 1, 1)
"""What tests send is later."""
SOURCE = f"sim-{SEED}-".encode()
"""Time does not pass while the log is made: when a worker looks at its clock is no matter of the log."""


class Place(NamedTuple):
    """Where the group of workers stood in a partition of an input."""

    topic: str
    partition: int
    offset: int
    note: str


@dataclass
class Volume:
    """What lies in the topics, by their logical names."""

    records: dict[str, list[Logged]]
    commits: list[Place]
    expected: Expected


def population() -> Iterator[Sent]:
    """Twins of the same lives, until every partition holds enough; the second of two is who had to contact service."""
    lives = list(traffic(LIVES, SEED, DAYS, first_day=FIRST_DAY))
    issues = dict(_issues(lives))
    troubled = {key for topic, key, _ in lives if topic == "service-contacts"}
    held = Counter[int]()
    for topic, key, value in regulars():
        held[partition_of(key, PARTITIONS)] += 1
        yield topic, key, value
    for twin in range(1, 1_000):
        full = {n for n in range(PARTITIONS) if held[n] >= EVENTS}
        if len(full) == PARTITIONS:
            return
        name = f"sim-{SEED + twin}-".encode()
        for topic, key, value in lives:
            named = key.replace(SOURCE, name)
            if twin % 2 == 0 and key not in troubled:
                continue
            if (partition := partition_of(named, PARTITIONS)) not in full:
                held[partition] += 1
                yield topic, named, _renamed(topic, value, name, issues)


def regulars() -> Iterator[Sent]:
    """Purchases of a few who buy every day, some of them sent again when they are long past."""
    for number in range(REGULARS):
        customer = f"sim-{SEED}-often-{number}"
        sent = [(PURCHASES.name, customer.encode(), _bought(customer, day)) for day in range(OFTEN)]
        yield from sent
        yield from sent[::10]


def _bought(customer: str, day: int) -> bytes:
    at = datetime.combine(FIRST_DAY, time(12), UTC) + timedelta(days=day)
    name = f"{customer}-p{day}"
    return orjson.dumps({
        "event_id": name, "customer_id": customer, "occurred_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "synthetic": True,
        "order_id": name, "amount": f"{day + 1}.50", "currency": "EUR",
    })  # fmt: skip


def _issues(lives: list[Sent]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Customer and issue behind the id of an alert."""
    for topic, key, value in lives:
        if topic == "service-contacts" and b'"issue_id"' in value and value.endswith(b"}"):
            customer, issue = key.decode(), str(orjson.loads(value)["issue_id"])
            yield alert_id(customer, issue), (customer, issue)


def _renamed(topic: str, value: bytes, name: bytes, issues: dict[str, tuple[str, str]]) -> bytes:
    renamed = value.replace(SOURCE, name)
    if topic == "alert-outcomes" and value.endswith(b"}"):
        event = orjson.loads(renamed)
        if known := issues.get(event["alert_id"]):
            customer, issue = (part.replace(SOURCE.decode(), name.decode()) for part in known)
            renamed = orjson.dumps(event | {"alert_id": alert_id(customer, issue)})
    return renamed


def kept(shared: Path, own: Path) -> Volume:
    """The volume of this test session, in the folder its processes share; whoever comes first makes it, in its own."""
    volume = _kept(shared, own)
    FOLDED.append(Folded(volume.records, volume.expected))
    return volume


def _kept(shared: Path, own: Path) -> Volume:
    with (shared / "volume.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = shared / "volume.pickle"
        if not file.exists():
            with Brokers(own) as brokers:
                file.write_bytes(pickle.dumps(_made(own, brokers.bootstrap)))
        volume: Volume = pickle.loads(file.read_bytes())  # noqa: S301 - our own
        return volume


def _made(directory: Path, bootstrap: str) -> Volume:
    field = Field(directory, bootstrap)
    try:
        field.send(population())
        worker = field.worker().wait_ready()
        field.wait_done()
        assert worker.stop() == 0
        expected = check_kafka(field.settings)
        records = {topic.name: _in_order(field.settings, topic) for topic in (*INPUTS, ALERTS, STATES, DEAD_LETTERS)}
        commits = asyncio.run(_commits(field.settings))
    finally:
        field.end()
    for topic in (*INPUTS, ALERTS):
        _check_whole(records[topic.name])
    records[STATES.name] = list({record.key: record for record in records[STATES.name]}.values())
    prefix = field.settings.topic_prefix
    expected.letters = {(topic.removeprefix(prefix), n, offset, why) for topic, n, offset, why in expected.letters}
    return Volume(records, commits, expected)


def _in_order(settings: Settings, topic: Topic) -> list[Logged]:
    return sorted(read_log(settings, topic), key=lambda record: (record.partition, record.offset))


def _check_whole(records: list[Logged]) -> None:
    """Nothing is left out between the records: elsewhere they get the same offsets."""
    ends = Counter(record.partition for record in records)
    assert all(0 <= record.offset < ends[record.partition] for record in records)


async def _commits(settings: Settings) -> list[Place]:
    group = settings.group("worker")
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TP(settings.topic(topic.name), n) for topic in INPUTS for n in range(settings.partitions)]
        found = await committed(consumer, places)
    finally:
        await consumer.stop()
    return [Place(settings.logical(p.topic), p.partition, commit.offset, commit.note) for p, commit in found.items()]


def grow(field: Field, volume: Volume) -> Field:
    """Put the volume into a field's topics, which are empty, as the workers of its group would have left them."""
    settings = field.settings
    producer, sending = kafka.producer(settings, "volume"), list[str | None]()
    wave = kafka.Sending(producer)
    for topic, records in volume.records.items():
        for record in records:
            headers = [(name, _here(settings, name, value)) for name, value in record.headers.items()]
            wave.send(settings.topic(topic), record.key, record.value, headers, record.partition)
        producer.poll(0)
    wave.finish(sending.append)
    kafka.flush(producer, 60)
    assert sending == [None]
    with kafka.reading(settings, "volume", settings.group("worker")) as client:
        places = [TopicPartition(settings.topic(t), n, offset, note) for t, n, offset, note in volume.commits]
        answers = client.commit(offsets=places, asynchronous=False)
    assert not [answer.error for answer in answers if answer.error]
    check_size(settings)
    field.grown = True
    return field


def _here(settings: Settings, name: str, value: bytes | None) -> bytes | None:
    """The header of a dead letter that names a topic names the one of these settings."""
    if name != f"{ERROR_HEADERS}topic" or value is None:
        return value
    return settings.topic(value.decode().rpartition(".")[2]).encode()


def check_size(settings: Settings) -> None:
    """Every partition holds what a fault is to happen on."""
    ends = kafka.end_offsets(settings, [*INPUTS, ALERTS])
    for partition in range(settings.partitions):
        events = sum(ends[topic.name, partition][1] for topic in INPUTS)
        told = ends[ALERTS.name, partition][1]
        assert events >= EVENTS, f"partition {partition} holds {events} events, {EVENTS} are wanted"
        assert told >= TOLD, f"partition {partition} holds {told} alerts, {TOLD} are wanted"


def live_through(volume: Volume, bootstrap: str) -> None:
    """Send what lies in the inputs to a stack that runs, and wait until its worker and its sink are done with it."""
    settings = Settings().with_changes(kafka=bootstrap)
    sending = kafka.Sending(producer := kafka.producer(settings, "volume"))
    for topic in INPUTS:
        for record in volume.records[topic.name]:
            sending.send(topic.name, record.key, record.value, partition=record.partition)
        producer.poll(0)
    kafka.flush(producer, 60)
    for process in ("worker", "sink"):
        wait_until_done(settings, process, 120)
    check_size(settings)
