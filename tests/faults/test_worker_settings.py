"""Workers of one group that were set up differently."""

import time

import pytest

from pipeline.continuity import ids
from pipeline.kafka import end_offsets
from pipeline.topics import STATES
from pipeline.worker.stores import open_store
from tests.faults.field import Field, traffic
from tests.faults.load import under_load
from tests.faults.oracle import check_kafka
from tests.faults.test_operations import last_words

pytestmark = pytest.mark.xdist_group("faults-worker")


@pytest.mark.extended
def test_workers_that_keep_their_states_in_memory_and_on_disk_take_over_from_each_other(grown: Field) -> None:
    on_disk, in_memory = [grown.worker(LOYALTY_STORE=store) for store in ("disk", "memory")]
    for worker in (on_disk, in_memory):
        worker.wait_ready()
    with under_load(grown):
        time.sleep(1)
        assert in_memory.stop() == 0
        time.sleep(1)
        in_memory.start().wait_ready()
        assert on_disk.stop() == 0
        time.sleep(1)
        on_disk.start().wait_ready()
        time.sleep(1)
    grown.wait_done()
    check_kafka(grown.settings)


@pytest.mark.extended
def test_a_worker_that_comes_back_with_another_store_goes_on(grown: Field) -> None:
    worker = grown.worker("worker-0", LOYALTY_STORE="disk")
    with under_load(grown):
        for store in ("memory", "disk"):
            worker.wait_ready()
            time.sleep(0.5)
            assert worker.stop() == 0
            worker.start(LOYALTY_STORE=store)
        worker.wait_ready()
    grown.wait_done()
    check_kafka(grown.settings)


@pytest.mark.extended
def test_a_worker_that_is_stopped_leaves_its_states_on_disk(grown: Field) -> None:
    worker = grown.worker("worker-0", LOYALTY_STORE="disk").wait_ready()
    grown.send(traffic(200))
    grown.wait_done()
    assert worker.stop() == 0
    settings = grown.settings.with_changes(instance="worker-0", store="disk")
    ends = end_offsets(settings, [STATES])
    for (_, partition), (_, end) in ends.items():
        store = open_store(settings, partition, topic_id=ids(settings)[STATES.name])
        assert store.last == end - 1
        store.close()


@pytest.mark.extended
def test_of_two_workers_on_the_same_files_the_second_ends_with_one_clear_line(grown: Field) -> None:
    first = grown.worker(LOYALTY_STORE="disk").wait_ready()
    second = grown.worker(LOYALTY_STORE="disk")
    assert second.wait_dead(20) == 4
    assert "is in use by another worker; give each its own LOYALTY_INSTANCE" in last_words(second)
    assert first.alive


def test_a_worker_that_cannot_keep_states_on_disk_ends_with_one_clear_line(field: Field) -> None:
    """As where the extra ``disk`` is not installed."""
    script = (
        "import os, sys; sys.modules['rocksdict'] = None\n"
        "from pipeline.config import from_env\n"
        "from pipeline.worker.app import run\n"
        "run(from_env(os.environ))"
    )
    worker = field.worker(program=("-c", script), LOYALTY_STORE="disk")
    assert worker.wait_dead(20) == 4
    assert "LOYALTY_STORE=disk needs rocksdict; install " in last_words(worker)
