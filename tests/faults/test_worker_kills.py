"""The worker, killed at every step and at random: states, alerts and dead letters equal a reference fold."""

import random
import time

import pytest

from pipeline.crashpoints import Point
from tests.faults.field import Field, Running, traffic
from tests.faults.load import under_load
from tests.faults.oracle import check_kafka
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-worker")

STEPS = [
    Point.EFFECTS_SENT,
    Point.EFFECTS_CONFIRMED,
    Point.STATES_SENT,
    Point.STATES_CONFIRMED,
    Point.BEFORE_COMMIT,
    Point.AFTER_COMMIT,
]


@pytest.mark.extended
def test_without_any_fault_the_oracle_agrees(grown: Field) -> None:
    grown.send(traffic(300))
    grown.worker().wait_ready()
    grown.wait_done()
    expected = check_kafka(grown.settings)
    assert len(expected.customers) > 6_000
    assert expected.alerts
    assert expected.letters


@pytest.mark.parametrize(
    "point",
    [
        Point.STATES_SENT,
        *(pytest.param(step, marks=pytest.mark.extended) for step in (Point.EFFECTS_SENT, Point.BEFORE_COMMIT)),
        *(pytest.param(step, marks=pytest.mark.soak) for step in STEPS[1::2]),
    ],
)
def test_killed_at_a_step_again_and_again_it_ends_exact(grown: Field, point: Point) -> None:
    """Every start dies at the step, a little later each time, while records keep coming."""
    with under_load(grown, rate=160):
        worker = grown.worker("worker-0", CRASH_AT=f"{point}:2")
        for count in (1, 3):
            assert worker.wait_dead() == -9, worker.tail()
            worker.start(CRASH_AT=f"{point}:{count}")
        assert worker.wait_dead() == -9, worker.tail()
    worker.start(CRASH_AT="").wait_ready()
    grown.wait_done()
    check_kafka(grown.settings)


@pytest.mark.parametrize("store", ["memory", pytest.param("disk", marks=pytest.mark.extended)])
def test_killed_during_recovery_several_times_it_ends_exact(grown: Field, store: str) -> None:
    grown.send(traffic(300))
    worker = grown.worker("worker-0", LOYALTY_STORE=store).wait_ready()
    grown.wait_done()
    worker.kill()
    for count in (1, 2, 4):
        if store == "memory":
            assert worker.start(CRASH_AT=f"recovery-batch:{count}").wait_dead() == -9
    grown.send(traffic(300, seed=2))
    worker.start().wait_ready()
    grown.wait_done()
    check_kafka(grown.settings)


def kill_at_random(worker: Running, seconds: float, seed: int) -> int:
    """Kill and start it again at random moments; returns how often."""
    chance, end, kills = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.5, 6.0))
        worker.kill()
        worker.start()
        kills += 1
    return kills


@pytest.mark.extended
@pytest.mark.parametrize("store", ["memory", pytest.param("disk", marks=pytest.mark.soak)])
def test_killed_at_random_under_load_it_ends_exact(grown: Field, store: str) -> None:
    worker = grown.worker("worker-0", LOYALTY_STORE=store)
    with under_load(grown, rate=200):
        assert kill_at_random(worker, 20, seed=1) >= 3
    worker.wait_ready()
    grown.wait_done()
    check_kafka(grown.settings)


@pytest.mark.extended
def test_the_control_arm_which_forgets_the_applied_offsets_ends_wrong(grown: Field) -> None:
    """The same kills as above, without the protection: the oracle must notice."""
    worker = grown.worker("worker-0", program=["-m", "tests.faults.careless_worker"])
    with under_load(grown, rate=160):
        for _ in range(3):
            worker.wait_ready()
            eventually(lambda: worker.metric("loyalty_events_consumed_total") > 50, 30, "some events consumed")
            worker.kill()
            worker.start()
    grown.wait_done()
    with pytest.raises(AssertionError, match="states differ"):
        check_kafka(grown.settings)
