"""Two Kafka clients share commits and records: what either writes, both read, byte for byte.

librdkafka reads a note as a C string. What it finds behind one that has no NUL is whatever the memory held, so every
look is a process of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as Place
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic
from faust.types import TP

from pipeline import kafka
from pipeline.config import Settings
from pipeline.worker.commits import Commit, commit
from tests.faults.brokers import Brokers
from tests.faults.two_clients import aiokafkas

pytestmark = pytest.mark.xdist_group("faults")
LONGEST = 200
NOTES = {n: ("told:" + "1234567890" * 20)[:n] for n in range(LONGEST + 1)}
"""A note of every length, in the partition of that number."""
LOOKS = 5
"""Of 201 notes each."""
TOPIC = "two-clients"


@pytest.fixture(scope="module")
def topic(broker: Brokers) -> Iterator[str]:
    """A topic with a partition for each length."""
    client = broker.admin()
    client.create_topics([NewTopic(TOPIC, LONGEST + 1, 1)], operation_timeout=20)[TOPIC].result(30)
    yield TOPIC
    client.delete_topics([TOPIC])[TOPIC].result(10)


def look(what: str, broker: Brokers, topic: str, count: int, *groups: str, **more: str) -> dict[str, Any]:
    """What a fresh process reads through both clients."""
    command = [sys.executable, "-m", "tests.faults.two_clients", what, broker.bootstrap, topic, str(count), *groups]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


async def commit_by_aiokafka(bootstrap: str, topic: str, *, sealed: bool) -> str:
    """Commit every note as a worker does, or as workers up to 0.4.0 did; returns the group."""
    group = f"aiokafka-{sealed}"
    async with aiokafkas(bootstrap, group) as consumer:
        consumer.assign([Place(topic, n) for n in NOTES])
        if sealed:
            await commit(consumer, {TP(topic, n): Commit(n, note) for n, note in NOTES.items()})
        else:
            await consumer.commit({Place(topic, n): OffsetAndMetadata(n, note) for n, note in NOTES.items()})
    return group


def commit_by_librdkafka(bootstrap: str, topic: str) -> str:
    """Commit every note as a sink does; returns the group."""
    with kafka.reading(Settings().with_changes(kafka=bootstrap), "notes", "librdkafka") as client:
        places = [TopicPartition(topic, n, n, note) for n, note in NOTES.items()]
        assert not [place.error for place in client.commit(offsets=places, asynchronous=False) if place.error]
    return "librdkafka"


def test_a_note_of_any_length_by_either_client_is_read_by_both_in_a_thousand_looks(broker: Brokers, topic: str) -> None:
    groups = [
        asyncio.run(commit_by_aiokafka(broker.bootstrap, topic, sealed=True)),
        commit_by_librdkafka(broker.bootstrap, topic),
    ]
    right = {str(n): [n, note] for n, note in NOTES.items()}
    for _ in range(LOOKS):
        for who, found in look("notes", broker, topic, len(NOTES), *groups).items():
            wrong = {n: found.get(n) for n in right if found.get(n) != right[n]}
            assert not wrong, who


def test_a_note_of_an_older_worker_is_read_as_it_was_written_and_costs_nobody_the_offset(
    broker: Brokers, topic: str
) -> None:
    group = asyncio.run(commit_by_aiokafka(broker.bootstrap, topic, sealed=False))
    garbled = 0
    for _ in range(2):
        by_aiokafka, by_librdkafka = look("notes", broker, topic, len(NOTES), group).values()
        assert by_aiokafka == {str(n): [n, note] for n, note in NOTES.items()}, "the worker reads what was written"
        assert {n: offset for n, (offset, _) in by_librdkafka.items()} == {str(n): n for n in NOTES}
        garbled += sum(note != NOTES[int(n)] for n, (_, note) in by_librdkafka.items())
    assert garbled, "librdkafka heeds the length again: commits need no NUL any more"


Headers = list[tuple[str, bytes | None]]
Whole = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record."""
RECORDS: list[Whole] = [
    (b"k", b"", []),
    (b"", b"v", []),
    (None, b"v", []),
    (b"k", None, []),
    (b"k\0y", b"v\0w", [("a", b"x\0y")]),
    (b"\xff", b"\xff", [("\u00e9", b"\xff"), ("\u00e9", b"2")]),
    (b"k", b"v", [("none", None), ("empty", b"")]),
    (b"k", b"v", [("", b"1")]),
    (b"k" * 300, b"v" * 300, [("n" * 300, b"z" * 300)]),
]


class Name(str):
    """A header's name that aiokafka sends as other bytes than its own."""

    def encode(self, *_: str) -> bytes:
        return b"n\xff"


MISNAMED: list[Whole] = [
    (b"k", b"v", [("a\0b", b"1"), ("c", b"2")]),
    (b"k", b"v", [(Name("x"), b"1"), ("c", b"2")]),
]
"""What only a foreign producer writes."""


async def send_by_aiokafka(bootstrap: str, topic: str, records: list[Whole]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for key, value, headers in records:
            await producer.send_and_wait(topic, value, key, headers=headers)


def send_by_librdkafka(settings: Settings, topic: str, records: list[Whole]) -> None:
    sending = kafka.Sending(producer := kafka.producer(settings, "contract"))
    for key, value, headers in records:
        sending.send(topic, key, value, headers, partition=0)
    kafka.flush(producer)


@pytest.mark.parametrize("extensions", ["", "1"], ids=["as-installed", "aiokafka-without-its-extensions"])
def test_keys_values_and_headers_of_either_client_are_the_same_for_both(broker: Brokers, extensions: str) -> None:
    settings = Settings().with_changes(kafka=broker.bootstrap)
    topic, client = f"records-{extensions or 0}", broker.admin()
    client.create_topics([NewTopic(topic, 1, 1)], operation_timeout=20)[topic].result(30)
    asyncio.run(send_by_aiokafka(broker.bootstrap, topic, RECORDS))
    send_by_librdkafka(settings, topic, RECORDS)
    send_misnamed(broker, topic)
    more = {"AIOKAFKA_NO_EXTENSIONS": extensions} if extensions else {}
    found = look("records", broker, topic, 2 * len(RECORDS) + len(MISNAMED), **more)
    client.delete_topics([topic])[topic].result(10)

    count = 2 * len(RECORDS)
    assert found["aiokafka"][:count] == found["librdkafka"][:count]
    assert [record[2:] for record in found["aiokafka"][:count]] == [plain(record) for record in RECORDS * 2]
    assert [record[4] for record in found["aiokafka"][count:]] == [
        [["a\0b", "1"], ["c", "2"]],
        [["n\\xff", "1"], ["c", "2"]],
    ]
    assert [record[4] for record in found["librdkafka"][count:]] == [[["a", "1"], ["c", "2"]], []]
    assert [record[:4] for record in found["aiokafka"]] == [record[:4] for record in found["librdkafka"]]


def send_misnamed(broker: Brokers, topic: str) -> None:
    """Only aiokafka in Python sends a name's bytes as they are."""
    script = (
        "import asyncio, sys\nfrom tests.faults.test_two_clients import MISNAMED, send_by_aiokafka\n"
        "asyncio.run(send_by_aiokafka(*sys.argv[1:], MISNAMED))"
    )
    command = [sys.executable, "-c", script, broker.bootstrap, topic]
    subprocess.run(command, env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}, check=True, timeout=240)


def plain(record: Whole) -> list[Any]:
    """A record as the process prints it."""
    key, value, headers = record
    as_text = [None if part is None else part.decode("latin-1") for part in (key, value)]
    return [*as_text, [[name, None if v is None else v.decode("latin-1")] for name, v in headers]]
