"""Processes killed in the middle of the replay: the same figures in the end, and every state equal to a reference."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Consumer

from pipeline.core.state.customer import decode_named
from tests.e2e.test_demo import facts, reference
from tests.faults.volume import Volume, live_through
from tests.stacks import Stack, eventually, free_ports

REPLAYED = "NOT startsWith(customer_id, 'sim-')"


def started(stack: Stack, volume: Volume) -> Stack:
    """A stack that has lived through something already."""
    stack.start()
    live_through(volume, stack.kafka)
    return stack


def replay(stack: Stack, rate: int = 14_000) -> threading.Thread:
    """The replay, running; slow enough to be hit in the middle."""
    sender = threading.Thread(target=lambda: stack.run("replay", "cdnow", "--rate", str(rate), seconds=200))
    sender.start()
    return sender


def consumed(stack: Stack) -> int:
    """Records of the replay; the simulated ones were there before."""
    return int(stack.rows("SELECT count() AS n FROM raw_purchases WHERE NOT synthetic")[0]["n"])


def folded(stack: Stack) -> int:
    return int(stack.rows(f"SELECT sum(purchases) AS n FROM customers WHERE {REPLAYED}")[0]["n"] or 0)


def check_figures_and_states(stack: Stack, seconds: float = 90) -> None:
    """Every record once, to the cent, and every state equal to a plain fold over the same purchases."""
    eventually(lambda: folded(stack) >= 69_659 and consumed(stack) >= 69_659, seconds, "everything folded and stored")
    figures = stack.rows(
        "SELECT count() AS records, uniqExact(_topic, _partition, _offset) AS offsets, uniqExact(event_id) AS events, "
        "uniqExact(customer_id) AS customers, toString(sum(amount)) AS usd FROM raw_purchases WHERE NOT synthetic"
    )
    assert {name: str(value) for name, value in figures[0].items()} == {
        "records": "69659",
        "offsets": "69659",
        "events": "69659",
        "customers": "23570",
        "usd": "2500315.63",
    }
    expected, _ = reference(service=False)
    rows = stack.rows(f"SELECT customer_id, state FROM customer_states FINAL WHERE {REPLAYED}")
    stored = {row["customer_id"]: decode_named(row["state"]) for row in rows}
    assert {name: facts(c) for name, c in stored.items()} == {name: facts(c) for name, c in expected.items()}


@pytest.mark.extended
@pytest.mark.parametrize(
    "victim", ["broker", *(pytest.param(name, marks=pytest.mark.soak) for name in ("worker", "sink"))]
)
def test_kill_9_in_the_middle_of_the_replay_ends_in_the_same_figures(stack: Stack, volume: Volume, victim: str) -> None:
    started(stack, volume)
    before = stack.pid_of(victim)
    sender = replay(stack)
    eventually(lambda: 10_000 < consumed(stack) < 50_000, 60, "the middle of the replay")
    stack.kill(victim)
    eventually(lambda: stack.pid_of(victim) != before, 30, f"a new {victim}")
    sender.join(200)
    check_figures_and_states(stack)
    assert any(f"{victim}" in line and "died" in line for line in stack.lines)
    assert {p["process"]: p["restarts"] for p in stack.json("status")["processes"]}[victim] == 1
    assert stack.stop() == 0


def second_worker(stack: Stack, instance: str) -> subprocess.Popen[bytes]:
    """Another worker of the same group; with the first one's instance name it takes its place."""
    settings = {
        "LOYALTY_KAFKA": stack.kafka,
        "LOYALTY_INSTANCE": instance,
        "LOYALTY_WORKER_METRICS_PORT": str(free_ports(1)[0]),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "worker"],
        env=stack.environment() | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.soak
def test_workers_that_come_and_are_killed_in_the_middle_of_the_replay_lose_nothing(
    stack: Stack, volume: Volume
) -> None:
    started(stack, volume)
    sender = replay(stack, rate=5_000)
    for instance in ("worker-1", "worker-0", "worker-1"):
        other = second_worker(stack, instance)
        try:
            time.sleep(3.0)
        finally:
            other.kill()
            other.wait(10)
    sender.join(200)
    check_figures_and_states(stack)


@pytest.mark.extended
def test_a_sink_whose_place_was_taken_ends_and_is_started_again(stack: Stack, volume: Volume) -> None:
    started(stack, volume)
    before = stack.pid_of("sink")
    thief = Consumer({"bootstrap.servers": stack.kafka, "group.id": "loyalty-sink", "group.instance.id": "sink-0"})
    thief.subscribe(["purchases"])
    eventually(lambda: thief.poll(0.2) is not None or stack.pid_of("sink") != before, 30, "a new sink")
    thief.close()
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: consumed(stack) == 6_919, 60, "the sample stored by the new sink")
    assert not os.path.exists(f"/proc/{before}")


@pytest.mark.soak
def test_a_worker_that_was_frozen_past_its_session_goes_on_and_counts_nothing_twice(
    stack: Stack, volume: Volume
) -> None:
    started(stack, volume)
    sender = replay(stack, rate=9_000)
    eventually(lambda: consumed(stack) > 5_000, 60, "the replay under way")
    worker = stack.pid_of("worker")
    os.kill(worker, signal.SIGSTOP)
    time.sleep(12)
    os.kill(worker, signal.SIGCONT)
    sender.join(200)
    check_figures_and_states(stack, seconds=150)
