"""A header whose name is not UTF-8, which some client other than ours may write."""

import os
import subprocess
import sys

import pytest

from pipeline.core.contract.partitioner import partition_of
from tests.faults.field import Field
from tests.faults.test_sink_refusals import purchase

pytestmark = pytest.mark.xdist_group("faults-takeover")
SENDER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def main(bootstrap, topic, partition, value):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value.encode(), partition=int(partition), headers=[(Name("x"), b"y")])

asyncio.run(main(*sys.argv[1:]))
"""


def send_misnamed(field: Field, topic: str, partition: int, value: bytes) -> None:
    """Send a record with such a header."""
    subprocess.run(
        [sys.executable, "-c", SENDER, field.settings.kafka, field.settings.topic(topic), str(partition), value],
        env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}, check=True, timeout=240,
    )  # fmt: skip


@pytest.mark.extended
def test_a_header_whose_name_is_not_utf_8_costs_the_sink_nothing(filled: Field) -> None:
    filled.send(purchase(n) for n in range(14))
    topic, key, value = purchase(100)
    send_misnamed(filled, topic, partition_of(key, filled.settings.partitions), value)
    filled.send(purchase(n) for n in range(14, 28))
    sink = filled.sink().wait_ready()
    filled.wait_done("sink")
    assert sink.alive
    assert filled.rows("SELECT count() AS n FROM raw_purchases") == [{"n": 29}]
