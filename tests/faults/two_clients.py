"""Reads, in a process of its own, the same commits and records through both Kafka clients; prints them as JSON.

Run as ``python -m tests.faults.two_clients notes|records BOOTSTRAP TOPIC [GROUP...]``.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as Place
from confluent_kafka import TopicPartition
from faust.types import TP

from pipeline import kafka
from pipeline.config import Settings
from pipeline.worker import aiokafka_patches
from pipeline.worker.commits import committed

Notes = dict[str, tuple[int, str]]
"""Offset and note of each partition."""


@asynccontextmanager
async def aiokafkas(bootstrap: str, group: str | None) -> AsyncIterator[Any]:
    """A consumer of aiokafka's, in no group's rebalances."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def notes_by_aiokafka(bootstrap: str, topic: str, group: str, partitions: int) -> Notes:
    """As the worker reads them."""
    async with aiokafkas(bootstrap, group) as consumer:
        found = await committed(consumer, [TP(topic, n) for n in range(partitions)])
    return {str(place.partition): (commit.offset, commit.note) for place, commit in found.items()}


def notes_by_librdkafka(bootstrap: str, topic: str, group: str, partitions: int) -> Notes:
    """As everybody else reads them."""
    with kafka.reading(Settings().with_changes(kafka=bootstrap), "notes", group) as reader:
        found = reader.committed([TopicPartition(topic, n) for n in range(partitions)], timeout=20)
        return {str(answer.partition): (answer.offset, kafka.commit_note(answer)) for answer in found}


async def records_by_aiokafka(bootstrap: str, topic: str, count: int) -> list[Any]:
    """As the worker reads them."""
    aiokafka_patches.install()
    found: list[Any] = []
    async with aiokafkas(bootstrap, None) as consumer:
        consumer.assign([Place(topic, 0)])
        await consumer.seek_to_beginning()
        while len(found) < count:
            for fetched in (await consumer.getmany(timeout_ms=500)).values():
                found += [plain(record) for record in fetched]
    return found


def records_by_librdkafka(bootstrap: str, topic: str, count: int) -> list[Any]:
    """As the sink reads them."""
    with kafka.reading(Settings().with_changes(kafka=bootstrap), "records", "records") as reader:
        return [plain(kafka.record_of(message)) for message in kafka.read_range(reader, topic, 0, 0, count)]


def plain(record: Any) -> list[Any]:
    """A record as JSON."""
    headers = [[name, text(value)] for name, value in record.headers]
    return [record.offset, record.timestamp, text(record.key), text(record.value), headers]


def text(value: bytes | None) -> str | None:
    """Bytes, one character each."""
    return None if value is None else value.decode("latin-1")


def main(what: str, bootstrap: str, topic: str, count: str, groups: Sequence[str]) -> None:
    """Print what both clients read."""
    wanted = int(count)
    found: dict[str, Any] = {}
    if what == "records":
        found["aiokafka"] = asyncio.run(records_by_aiokafka(bootstrap, topic, wanted))
        found["librdkafka"] = records_by_librdkafka(bootstrap, topic, wanted)
    for group in groups:
        found[f"{group} by aiokafka"] = asyncio.run(notes_by_aiokafka(bootstrap, topic, group, wanted))
        found[f"{group} by librdkafka"] = notes_by_librdkafka(bootstrap, topic, group, wanted)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
