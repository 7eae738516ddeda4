"""Ten minutes of everything: worker and sink killed at random under load, and the oracle on all that is left."""

import random
import threading
import time

import pytest

from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import check_kafka
from tests.faults.rows import check_rows
from tests.faults.warehouse import with_warehouse

pytestmark = [pytest.mark.timeout(1_500), pytest.mark.xdist_group("faults-worker"), pytest.mark.soak]
SECONDS = 600.0


def kill_until(process: Running, end: float, seed: int, kills: list[str]) -> None:
    """Kill a process and start it again, at random moments."""
    chance = random.Random(seed)
    while time.monotonic() < end:
        time.sleep(chance.uniform(1.0, 12.0))
        process.kill()
        process.start()
        kills.append(process.kind)


def test_ten_minutes_of_random_kills_of_workers_and_sinks_end_equal_to_the_reference(field: Field) -> None:
    with_warehouse(field)
    sender = field.sending(traffic(30_000), rate=290)
    processes = [field.worker("worker-0"), field.worker("worker-1"), field.sink("sink-0"), field.sink("sink-1")]
    kills: list[str] = []
    end = time.monotonic() + SECONDS
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
    check_kafka(field.settings)
    check_rows(field)
    print(f"{len(kills)} kills: {kills.count('worker')} of workers, {kills.count('sink')} of sinks")
