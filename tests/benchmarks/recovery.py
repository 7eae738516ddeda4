"""How long a worker takes to have a million customers in memory, and how much memory they take."""

import time

import psutil

from tests.benchmarks.ground import Ground
from tests.benchmarks.measure import cpu_seconds, resident
from tests.benchmarks.report import Table
from tests.benchmarks.traffic import fill
from tests.faults.field import Field, Running
from tests.stacks import eventually

RECOVERY_SECONDS = 300.0


def run(ground: Ground) -> list[Table]:
    """Fill the changelog, start a worker, and wait until it holds everything and consumes."""
    customers = ground.sizes.recovered
    empty, _, _ = _recovered(ground.new_field(), 0)
    field = ground.new_field()
    fill(field.settings, customers, ground.sizes.days)
    full, seconds, cpu = _recovered(field, customers)
    per_million = (full - empty) / customers * 1e6
    how = (
        "From the start of the process to ready, with every customer in memory; states as the mix leaves them.\n"
        "RSS per million: what the process holds then, less what one without any customer holds."
    )
    header = ("customers", "seconds", "customers/s", "CPU s", "RSS MiB", "RSS MiB empty", "RSS MiB per million")
    row = (customers, seconds, customers / seconds, cpu, full / 2**20, empty / 2**20, per_million / 2**20)
    return [Table("Recovery and memory", how, header, [row])]


def _recovered(field: Field, customers: int) -> tuple[int, float, float]:
    """Bytes in memory, seconds and CPU seconds of a worker that has just recovered."""
    try:
        started = time.time()
        worker = field.worker()
        eventually(lambda: _holds(worker, customers), RECOVERY_SECONDS, f"{customers} recovered: {worker.tail()}")
        pid = worker.process.pid
        seconds = time.time() - min(started, psutil.Process(pid).create_time())
        return resident(pid), seconds, cpu_seconds(pid)
    finally:
        field.end()


def _holds(worker: Running, customers: int) -> bool:
    assert worker.alive, worker.tail()
    return worker.metric("loyalty_ready") == 1 and worker.metric("loyalty_state_customers") >= customers
