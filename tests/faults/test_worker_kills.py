"""The worker, killed at every step and at random: states, alerts and dead letters equal a reference fold."""

import random
import time

import pytest

from pipeline.crashpoints import Point
from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import check_kafka
from tests.stacks import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("faults-worker")]

STEPS = [
    Point.EFFECTS_SENT,
    Point.EFFECTS_CONFIRMED,
    Point.STATES_SENT,
    Point.STATES_CONFIRMED,
    Point.BEFORE_COMMIT,
    Point.AFTER_COMMIT,
]


def test_without_any_fault_the_oracle_agrees(field: Field) -> None:
    field.send(traffic(300))
    field.worker().wait_ready()
    field.wait_done()
    expected = check_kafka(field.settings)
    assert len(expected.customers) == 300
    assert expected.alerts
    assert expected.letters


@pytest.mark.parametrize("point", [*STEPS[::2], *(pytest.param(step, marks=pytest.mark.soak) for step in STEPS[1::2])])
def test_killed_at_a_step_again_and_again_it_ends_exact(field: Field, point: Point) -> None:
    """Every start dies at the step, a little later each time, while records keep coming."""
    sender = field.sending(traffic(500), rate=160)
    worker = field.worker("worker-0", CRASH_AT=f"{point}:2")
    for count in (1, 3):
        assert worker.wait_dead(60) == -9, worker.tail()
        worker.start(CRASH_AT=f"{point}:{count}")
    assert worker.wait_dead(60) == -9, worker.tail()
    sender.join(60)
    worker.start(CRASH_AT="").wait_ready()
    field.wait_done()
    check_kafka(field.settings)


@pytest.mark.parametrize("store", ["memory", "disk"])
def test_killed_during_recovery_several_times_it_ends_exact(field: Field, store: str) -> None:
    field.send(traffic(300))
    worker = field.worker("worker-0", LOYALTY_STORE=store).wait_ready()
    field.wait_done()
    worker.kill()
    for count in (1, 2, 4):
        if store == "memory":
            assert worker.start(CRASH_AT=f"recovery-batch:{count}").wait_dead(60) == -9
    field.send(traffic(300, seed=2))
    worker.start().wait_ready()
    field.wait_done()
    check_kafka(field.settings)


def kill_at_random(worker: Running, seconds: float, seed: int) -> int:
    """Kill and start it again at random moments; returns how often."""
    chance, end, kills = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.5, 6.0))
        worker.kill()
        worker.start()
        kills += 1
    return kills


@pytest.mark.parametrize("store", ["memory", pytest.param("disk", marks=pytest.mark.soak)])
def test_killed_at_random_under_load_it_ends_exact(field: Field, store: str) -> None:
    sender = field.sending(traffic(800), rate=200)
    worker = field.worker("worker-0", LOYALTY_STORE=store)
    assert kill_at_random(worker, 20, seed=1) >= 3
    sender.join(60)
    worker.wait_ready()
    field.wait_done()
    check_kafka(field.settings)


def test_the_control_arm_which_forgets_the_applied_offsets_ends_wrong(field: Field) -> None:
    """The same kills as above, without the protection: the oracle must notice."""
    sender = field.sending(traffic(500), rate=160)
    worker = field.worker("worker-0", program=["-m", "tests.faults.careless_worker"])
    for _ in range(3):
        worker.wait_ready()
        eventually(lambda: worker.metric("loyalty_events_consumed_total") > 50, 30, "some events consumed")
        worker.kill()
        worker.start()
    sender.join(60)
    field.wait_done()
    with pytest.raises(AssertionError, match="states differ"):
        check_kafka(field.settings)
