"""Workers that stop and start: nothing that was sent meanwhile is left out."""

import asyncio

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from pipeline.kafka.commit_metadata import read_note
from tests.faults.field import Field, traffic
from tests.faults.oracle import check_kafka
from tests.faults.two_clients import aiokafkas
from tests.faults.volume import Volume, check_size, population

pytestmark = pytest.mark.xdist_group("faults-worker")


@pytest.mark.extended
def test_topics_that_had_no_commit_yet_are_read_from_the_beginning_after_a_recovery(
    field: Field, volume: Volume
) -> None:
    """Purchases while the worker runs; every other kind only while it is down."""
    everything = list(population())
    worker = field.worker("worker-0").wait_ready()
    field.send(record for record in everything if record[0] == "purchases")
    field.wait_done()
    assert worker.stop() == 0
    field.send(record for record in everything if record[0] != "purchases")
    worker.start().wait_ready()
    field.send(record for record in traffic(200, seed=2) if record[0] != "purchases")
    field.wait_done()
    check_size(field.settings)
    check_kafka(field.settings)


def test_a_killed_worker_comes_back_from_its_notes_and_from_those_of_an_older_one(grown: Field, volume: Volume) -> None:
    """Workers up to 0.4.0 wrote their notes without a NUL, and read with every note what lay behind it in memory."""
    asyncio.run(commit_as_of_old(grown, volume))
    worker = grown.worker("worker-0").wait_ready()
    for seed in (1, 2, 3):
        grown.send(traffic(100, seed=seed))
        grown.wait_done()
        worker.kill()
        worker.start().wait_ready(30)
    grown.send(traffic(100, seed=4))
    grown.wait_done()
    assert worker.starts == 4, "it did not end by itself"
    check_kafka(grown.settings)


async def commit_as_of_old(field: Field, volume: Volume) -> None:
    """The commits of the volume as a worker of 0.4.0 would have made them."""
    notes: dict[int, str] = {}
    for _, partition, _, note in volume.commits:  # what a partition's last commit says, it may say with every topic
        notes[partition] = max(notes.get(partition, ""), note, key=lambda one: read_note(one)[0])
    commits = {
        TopicPartition(field.settings.topic(topic), partition): OffsetAndMetadata(offset, notes[partition])
        for topic, partition, offset, _ in volume.commits
    }
    assert all(len(note) >= 8 for note in notes.values()), "shorter ones were read well"
    async with aiokafkas(field.settings.kafka, field.settings.group("worker")) as consumer:
        consumer.assign(list(commits))
        await consumer.commit(commits)
