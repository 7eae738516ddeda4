"""Workers that come, go and die under load, on three brokers."""

import time

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from pipeline.topics import TOPICS
from tests.faults.brokers import Brokers
from tests.faults.field import Field, Running
from tests.faults.load import under_load
from tests.faults.oracle import check_kafka
from tests.faults.rows import check_rows
from tests.faults.warehouse import with_warehouse

pytestmark = pytest.mark.xdist_group("cluster")


def test_every_topic_has_three_replicas_of_which_two_must_confirm(cluster: Brokers, cluster_field: Field) -> None:
    names = [cluster_field.settings.topic(topic.name) for topic in TOPICS]
    client = cluster.admin()
    known = client.list_topics(timeout=10).topics
    assert {len(p.replicas) for name in names for p in known[name].partitions.values()} == {3}
    described = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    settings = [future.result(10)["min.insync.replicas"] for future in described.values()]
    assert [(setting.value, setting.is_default) for setting in settings] == [("2", False)] * len(names)


@pytest.mark.extended
def test_two_workers_and_two_sinks_bring_everything_into_the_warehouse_once(cluster_field: Field) -> None:
    with_warehouse(cluster_field)
    running = [cluster_field.worker("w-0"), cluster_field.worker(), cluster_field.sink("s-0"), cluster_field.sink()]
    for process in running:
        process.wait_ready()
    with under_load(cluster_field):
        time.sleep(4)
    cluster_field.wait_done("worker")
    cluster_field.wait_done("sink")
    check_kafka(cluster_field.settings)
    check_rows(cluster_field)


def become_four_and_then_one(field: Field, names: list[str]) -> None:
    """Two more come; of the three that go, one is killed."""
    workers = [field.worker(name) for name in names[:2]]
    for worker in workers:
        worker.wait_ready()
    with under_load(field):
        time.sleep(1)
        workers += [field.worker(name) for name in names[2:]]
        for worker in workers:
            worker.wait_ready()
        time.sleep(1)
        workers[1].kill()
        assert [worker.stop() for worker in workers[2:]] == [0, 0]
        time.sleep(1)
    field.wait_done()
    assert workers[0].alive
    check_kafka(field.settings)


def test_two_workers_become_four_and_then_one_under_load(cluster_field: Field) -> None:
    become_four_and_then_one(cluster_field, ["", "", "", ""])


@pytest.mark.soak
def test_two_named_workers_become_four_and_then_one_under_load(cluster_field: Field) -> None:
    """A named worker that is gone leaves its partitions to others only when its session is over."""
    become_four_and_then_one(cluster_field, ["w-0", "w-1", "w-2", "w-3"])


def undisturbed(neighbour: Running, worker: Running) -> bool:
    """Whether a worker that is killed and comes back under its name is there before its partitions are shared out."""
    before = neighbour.metric("loyalty_rebalances_total")
    worker.kill()
    worker.start().wait_ready()
    return neighbour.metric("loyalty_rebalances_total") == before


@pytest.mark.extended
def test_a_killed_worker_that_comes_back_under_its_name_takes_its_place_at_once(cluster_field: Field) -> None:
    workers = [cluster_field.worker(name) for name in ("w-0", "w-1")]
    for worker in workers:
        worker.wait_ready()
    with under_load(cluster_field):
        time.sleep(1)
        # One of three: where a start takes longer than a session, the others get its partitions meanwhile.
        assert any(undisturbed(*workers) for _ in range(3))
        time.sleep(1)
    cluster_field.wait_done()
    check_kafka(cluster_field.settings)
