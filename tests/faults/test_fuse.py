"""A producer that went wrong stops its topic; the others go on, and say why it stands."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from pipeline import kafka
from pipeline.operations import doctor, status
from pipeline.topics import DEAD_LETTERS, PURCHASES
from pipeline.worker.guards.fuse import WINDOW
from tests.faults.field import Field, Running, Sent, traffic
from tests.faults.oracle import check_kafka, told_letters
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-topics")


def others(seed: int) -> Iterator[Sent]:
    return (record for record in traffic(100, seed=seed, broken=0) if record[0] != PURCHASES.name)


def purchases(seed: int) -> Iterator[Sent]:
    return (record for record in traffic(1_200, seed=seed, broken=0) if record[0] == PURCHASES.name)


def send_strangely(field: Field, events: Iterator[Sent]) -> None:
    """With librdkafka's own partitioner, as a producer does that nobody told otherwise."""
    foreign = Producer({"bootstrap.servers": field.settings.kafka, "partitioner": "consistent"})
    for topic, key, value in events:
        foreign.produce(field.settings.topic(topic), value, key)
    assert foreign.flush(30) == 0


def left(field: Field) -> dict[str, int]:
    """How much of each input no worker has committed."""
    return {row["topic"]: row["worker"] for row in status._topics(field.settings) if row["worker"] is not None}


def resumed(field: Field, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "topics", "resume", PURCHASES.name, *options],
        env=os.environ | field.settings.as_env(), capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    return done.stdout


def standing(worker: Running) -> bool:
    return worker.metric("loyalty_topic_stands") == 1


def others_done(field: Field) -> None:
    eventually(lambda: all(not n for topic, n in left(field).items() if topic != PURCHASES.name), 60, "others go on")


def test_a_topic_that_cannot_be_used_stands_alone_until_it_is_let_go_on(field: Field) -> None:
    worker = field.worker().wait_ready()
    send_strangely(field, purchases(1))
    eventually(lambda: standing(worker), 60, "the topic stands")
    field.send(others(2))
    others_done(field)
    assert worker.alive
    before = told_letters(field.settings)
    assert len(before) < WINDOW, "what was judged has not left"
    committed = kafka.committed(field.settings, field.settings.group("worker"), [PURCHASES])
    [row] = [row for row in status._topics(field.settings) if row["stands"]]
    assert row["topic"] == PURCHASES.name
    assert "wrong-partition" in row["stands"]
    [bad] = [f for f in doctor.examine(field.settings) if f.check == "topics"]
    assert f"loyalty topics resume {PURCHASES.name}" in f"{bad.found} {bad.remedy}"

    worker.stop()
    second = field.worker().wait_ready()
    worker.start().wait_ready()
    field.send(others(3))
    others_done(field)
    assert standing(worker), "across starts, and in every worker"
    assert standing(second)

    assert "goes on" in resumed(field)
    assert {worker.wait_dead(30), second.wait_dead(30)} == {3}
    worker.start().wait_ready()
    eventually(lambda: standing(worker), 60, "it is no better")
    assert kafka.committed(field.settings, field.settings.group("worker"), [PURCHASES]) == committed
    assert told_letters(field.settings) == before

    assert "goes on" in resumed(field, "--as-dead-letters")
    assert worker.wait_dead(30) == 3
    worker.start().wait_ready()
    field.send(purchases(4))
    field.wait_done()
    check_kafka(field.settings)
    ends = kafka.end_offsets(field.settings, [DEAD_LETTERS])
    letters = told_letters(field.settings)
    assert sum(end for _, end in ends.values()) == len(letters) > 1_000, "each once"
    assert not standing(worker)


@pytest.mark.extended
def test_who_says_that_everything_may_pass_takes_back_that_a_topic_stands(field: Field) -> None:
    worker = field.worker().wait_ready()
    send_strangely(field, purchases(1))
    eventually(lambda: standing(worker), 60, "the topic stands")
    worker.stop()
    worker.start(LOYALTY_FUSE_PERCENT="100").wait_ready()
    field.wait_done()
    check_kafka(field.settings)
