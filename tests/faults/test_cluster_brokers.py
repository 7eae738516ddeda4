"""Brokers that go, in every way, while two workers fold under load on three of them."""

import time
from collections.abc import Callable

import psutil
import pytest
from confluent_kafka import ElectionType

from pipeline.topics import TOPICS
from tests.faults.brokers import Brokers, Node, within
from tests.faults.field import Field, Running
from tests.faults.load import under_load
from tests.faults.oracle import check_kafka
from tests.faults.rows import check_rows
from tests.faults.warehouse import with_warehouse
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("cluster")


def two_workers(field: Field) -> None:
    """One with a name and one without, ready."""
    for worker in [field.worker("w-0"), field.worker()]:
        worker.wait_ready()


def check(field: Field) -> None:
    """Nobody ended, everything was folded, and the oracle agrees."""
    field.wait_done()
    assert all(worker.alive for worker in field.running)
    check_kafka(field.settings)


def topics(field: Field) -> list[str]:
    """The names of all topics at the brokers."""
    return [field.settings.topic(topic.name) for topic in TOPICS]


def leaders_are_the_first_replicas(cluster: Brokers, field: Field) -> None:
    """Every partition is led by the replica that should lead it."""
    known = cluster.admin().list_topics(timeout=10).topics
    partitions = [p for topic in topics(field) for p in known[topic].partitions.values()]
    assert [p.leader for p in partitions] == [p.replicas[0] for p in partitions]


@pytest.mark.extended
def test_every_broker_is_restarted_in_turn_and_leads_again_under_load(cluster: Brokers, cluster_field: Field) -> None:
    two_workers(cluster_field)
    with under_load(cluster_field, rate=250):
        for node in cluster.nodes:
            node.stop()
            node.start()
            cluster.wait_ready()
            cluster.until_in_sync(topics(cluster_field))
        with pytest.raises(AssertionError):
            leaders_are_the_first_replicas(cluster, cluster_field)
        client = cluster.admin()  # must outlive its future
        client.elect_leaders(ElectionType.PREFERRED).result(30)
        within(10, lambda: leaders_are_the_first_replicas(cluster, cluster_field), AssertionError)
        time.sleep(1)
    check(cluster_field)


def coordinator(cluster: Brokers, field: Field) -> Node:
    """Who keeps the workers' group and its offsets."""
    return cluster.coordinator(field.settings.group("worker"))


def controller(cluster: Brokers, _field: Field) -> Node:
    """Who decides which broker leads what."""
    return cluster.controller()


@pytest.mark.parametrize(
    "who", [coordinator, pytest.param(controller, marks=pytest.mark.soak)], ids=["coordinator", "controller"]
)
def test_a_broker_is_killed_under_load(
    cluster: Brokers, cluster_field: Field, who: Callable[[Brokers, Field], Node]
) -> None:
    """Each of them leads partitions too."""
    two_workers(cluster_field)
    with under_load(cluster_field):
        time.sleep(1)
        victim = who(cluster, cluster_field)
        victim.kill()
        time.sleep(5)
        eventually(lambda: who(cluster, cluster_field) is not victim, 30, "another broker has taken its place")
    check(cluster_field)  # with two of three: that is enough


def cpu_seconds(running: Running) -> float:
    """CPU seconds of a process so far."""
    times = psutil.Process(running.process.pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.extended
def test_two_brokers_are_gone_and_come_back_under_load(cluster: Brokers, cluster_field: Field) -> None:
    """One of three cannot confirm anything: everybody waits, nobody ends."""
    with_warehouse(cluster_field)
    two_workers(cluster_field)
    cluster_field.sink().wait_ready()
    with under_load(cluster_field):
        time.sleep(1)
        for node in cluster.nodes[:2]:
            node.kill()
        time.sleep(1)
        before, began = [cpu_seconds(running) for running in cluster_field.running], time.monotonic()
        time.sleep(5)
        waited = time.monotonic() - began
        spent = [cpu_seconds(running) - was for running, was in zip(cluster_field.running, before, strict=True)]
        assert max(spent) < waited / 2, f"they wait, they do not spin: {spent} s of CPU in {waited} s"
        for node in cluster.nodes[:2]:
            node.start()
        cluster.wait_ready()
    check(cluster_field)
    cluster_field.wait_done("sink")
    check_kafka(cluster_field.settings)
    check_rows(cluster_field)
