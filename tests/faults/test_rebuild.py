"""Every state folded again beside running workers, and swapped: what was wrong is right, and nobody is told."""

import os
import subprocess
import sys
import threading
import time
from itertools import chain, count

import msgspec
import pytest
from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.core.state.customer import encode_state
from pipeline.crashpoints import VARIABLE, Point
from pipeline.errors import Refused
from pipeline.topics import ALERTS, STATES
from pipeline.worker.maintenance import SwapAnnouncement
from tests.faults.field import Field, Running, rebuilt, supervised, traffic
from tests.faults.oracle import check_kafka, plain, read_log, stored_states
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-worker")
BROKEN = 20
STEPS = [Point.REFOLD_DONE, Point.REFOLD_ALONE, Point.REFOLD_TOLD, Point.REFOLD_SENT]


def rebuild(field: Field, **more: str) -> subprocess.CompletedProcess[str]:
    return rebuilt(field, "--states", **more)


def broken(field: Field) -> None:
    """Without a worker: some states lose their purchases, some vanish, and there is one that nobody's events make."""
    records = {record.key: record for record in read_log(field.settings, STATES) if record.value is not None}
    producer = kafka.producer(field.settings, "bug")
    states = sorted(stored_states(field.settings).items())
    for number, (key, customer) in enumerate(states[:BROKEN]):
        customer.purchases += 7
        value = encode_state(customer) if number % 2 else None
        producer.produce(field.settings.topic(STATES.name), value, key, records[key].partition)
    ghost = msgspec.structs.replace(states[0][1], customer_id="nobody")
    producer.produce(field.settings.topic(STATES.name), encode_state(ghost), b"nobody", 0)
    assert producer.flush(10) == 0


def worked(field: Field) -> Running:
    """A worker that has done everything and was stopped; nothing happens by itself."""
    field.send(traffic(400))
    worker = field.worker().wait_ready()
    field.wait_done()
    assert worker.stop() == 0
    return worker


def test_what_was_wrong_is_right_and_nobody_is_told_anything(grown: Field) -> None:
    worker = worked(grown)
    told, before = len(read_log(grown.settings, ALERTS)), stored_states(grown.settings)
    broken(grown)
    with pytest.raises(AssertionError):
        check_kafka(grown.settings)
    worker.start().wait_ready()
    with supervised(worker):
        done = rebuild(grown)
        assert done.returncode == 0, done.stderr
        assert f"Folded {len(before)} states again: {BROKEN} differed and were put into place, 1 of" in done.stdout
        eventually(lambda: worker.metric("loyalty_ready") == 1, 60, "the worker goes on")
        check_kafka(grown.settings)
        assert len(read_log(grown.settings, ALERTS)) == told
        assert {k: plain(c) for k, c in stored_states(grown.settings).items()} == {
            k: plain(c) for k, c in before.items()
        }

        written = len(read_log(grown.settings, STATES))
        done = rebuild(grown)
        assert "all equal the live ones. Nobody was told anything." in done.stdout
        assert len(read_log(grown.settings, STATES)) == written
        grown.send(traffic(100, seed=9))
        grown.wait_done()
    check_kafka(grown.settings)
    assert len(read_log(grown.settings, ALERTS)) > told


@pytest.mark.extended
@pytest.mark.parametrize("steps", [STEPS[1::2], pytest.param(STEPS, marks=pytest.mark.soak)], ids=["two", "all"])
def test_under_traffic_and_killed_at_a_step_nothing_is_lost(grown: Field, steps: list[Point]) -> None:
    worker = worked(grown)
    broken(grown)
    worker.start().wait_ready()
    other = grown.worker().wait_ready()
    stop = threading.Event()
    events = chain.from_iterable(traffic(50, seed=seed) for seed in count(2))
    sending = threading.Thread(target=grown.send, args=(events, 100, stop), daemon=True)
    sending.start()
    try:
        with supervised(worker, other):
            for step in steps:
                done = rebuild(grown, **{VARIABLE: f"{step}:2" if step is Point.REFOLD_SENT else f"{step}:1"})
                assert done.returncode == -9, (step, done.stdout, done.stderr)
            done = rebuild(grown)
            assert done.returncode == 0, done.stderr
            stop.set()
            sending.join(60)
            grown.wait_done()
    finally:
        stop.set()
    check_kafka(grown.settings)


@pytest.mark.extended
def test_a_worker_waits_while_states_are_swapped_and_goes_on_when_whoever_swapped_was_killed(grown: Field) -> None:
    grown.send(traffic(20))
    with SwapAnnouncement(grown.settings):
        worker = grown.worker()
        time.sleep(6)
        assert worker.metric("loyalty_ready") == 0
        assert kafka.members(grown.settings, grown.settings.group("worker")) == 0
    worker.wait_ready()
    killed = subprocess.Popen(
        [sys.executable, "-c", ANNOUNCING], env=os.environ | grown.settings.as_env(), stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    assert killed.stdout.readline() == "said\n"
    with pytest.raises(Refused, match="another rebuild"), SwapAnnouncement(grown.settings):
        pass
    assert worker.wait_dead(30) == 3, "it leaves, and wants to be started again"
    killed.kill()
    killed.wait()
    started = time.monotonic()
    worker.start().wait_ready()
    assert time.monotonic() - started > 5
    grown.wait_done()
    check_kafka(grown.settings)


ANNOUNCING = """
import time
import os
from pipeline.config import from_env
from pipeline.worker.maintenance import SwapAnnouncement
with SwapAnnouncement(from_env(os.environ)):
    print("said", flush=True)
    time.sleep(100)
"""


def test_events_that_have_left_the_topics_are_not_forgotten_unasked(field: Field) -> None:
    worker = worked(field)
    before = stored_states(field.settings)
    drop_first(field, 5)
    refused = rebuild(field)
    assert refused.returncode == 4
    assert "--forget-expired" in refused.stderr
    assert stored_states(field.settings) == before
    assert worker.process.poll() == 0


def drop_first(field: Field, records: int) -> None:
    """Delete the first records of a topic, as retention does."""
    client = kafka.admin(field.settings)
    place = TopicPartition(field.settings.topic("purchases"), 0, records)
    client.delete_records([place])[place].result(20)
