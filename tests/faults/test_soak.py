"""Ten minutes of everything: worker and sink killed at random under load, and the oracle on all that is left."""

import random
import threading
import time
from collections.abc import Sequence

import pytest

from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import check_kafka
from tests.faults.rows import check_rows
from tests.faults.warehouse import with_warehouse

pytestmark = [pytest.mark.timeout(1_500), pytest.mark.xdist_group("faults-worker"), pytest.mark.soak]
SECONDS = 600.0
CONTROL_SECONDS = 60.0


def kill_until(process: Running, end: float, seed: int, kills: list[str]) -> None:
    """Kill a process and start it again, at random moments."""
    chance = random.Random(seed)
    while time.monotonic() < end:
        time.sleep(chance.uniform(1.0, 12.0))
        process.kill()
        process.start()
        kills.append(process.kind)


def killed_at_random(field: Field, processes: Sequence[Running], customers: int, seconds: float) -> list[str]:
    """Kill everybody again and again under load, and let them finish; who was killed."""
    sender = field.sending(traffic(customers), rate=290)
    kills: list[str] = []
    end = time.monotonic() + seconds
    killers = [threading.Thread(target=kill_until, args=(p, end, n, kills)) for n, p in enumerate(processes)]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join()
    sender.join(300)
    for process in processes:
        process.wait_ready()
    field.wait_done(seconds=300)
    field.wait_done("sink", seconds=300)
    return kills


def test_ten_minutes_of_random_kills_of_workers_and_sinks_end_equal_to_the_reference(grown: Field) -> None:
    with_warehouse(grown)
    processes = [grown.worker("worker-0"), grown.worker("worker-1"), grown.sink("sink-0"), grown.sink("sink-1")]
    kills = killed_at_random(grown, processes, 30_000, SECONDS)
    check_kafka(grown.settings)
    check_rows(grown)
    print(f"{len(kills)} kills: {kills.count('worker')} of workers, {kills.count('sink')} of sinks")


def test_the_control_arm_without_the_protections_ends_wrong_on_both_sides(grown: Field) -> None:
    """A worker that forgets what it applied, and a sink whose tokens are worth nothing: the oracle must notice both."""
    with_warehouse(grown)
    careless, forgetful = ("-m", "tests.faults.careless_worker"), ("-m", "tests.faults.forgetful")
    processes = [grown.worker("worker-0", program=careless), grown.sink("sink-0", program=forgetful)]
    killed_at_random(grown, processes, 3_000, CONTROL_SECONDS)
    with pytest.raises(AssertionError, match="states differ"):
        check_kafka(grown.settings)
    with pytest.raises(AssertionError, match="rows stand there more than once"):
        check_rows(grown)
