"""Events per second and CPU per event: this worker, two other engines with the same step, and the floor."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import orjson

from pipeline.config import Settings
from pipeline.topics import ALERTS, DEAD_LETTERS
from tests.benchmarks.ground import PATIENCE, Ground
from tests.benchmarks.measure import Rate
from tests.benchmarks.report import Cell, Table
from tests.faults.oracle import read_log


class Measured(NamedTuple):
    """One engine's result; ``alerts`` are those that stand in its output topic."""

    name: str
    rate: Rate
    alerts: int | None


def run(ground: Ground) -> list[Table]:
    """Measure every engine, one after the other."""
    measured = list(_engines(ground))
    worker = measured[0].rate
    assert not read_log(ground.field.settings, DEAD_LETTERS), "the worker rejected events"
    how = (
        f"{len(ground.events):,} events of {ground.sizes.customers:,} customers, all in the log before an engine "
        f"starts.\nFrom the first commit seen to the last; stock Faust {ground.sizes.faust_seconds:.0f} s at most.\n"
        "'worker is' and 'CPU ratio': this worker's speed over theirs, their CPU per event over this worker's.\n"
        "Alerts: those that stand in the end, the same for every engine that read everything."
    )
    header = ("engine", "events", "s", "events/s", "CPU s/M events", "worker is", "CPU ratio", "RSS MiB", "alerts")
    return [Table("Throughput", how, header, [_row(each, worker) for each in measured])]


def _engines(ground: Ground) -> Iterator[Measured]:
    settings = ground.field.settings
    yield Measured("this worker", ground.worker_rate, _standing(settings, ALERTS.name))
    if ground.compiled is not None:
        field, compiled = ground.compiled
        yield Measured("this worker, core compiled", compiled, _standing(field.settings, ALERTS.name))
    for name, module, limit in (
        ("stock Faust", "stock_faust", ground.sizes.faust_seconds),
        ("Quix Streams", "quix", PATIENCE),
    ):
        rate, job = ground.measure(module, limit=limit)
        yield Measured(name, rate, _standing(settings, settings.logical(job.alerts)))
    yield Measured("floor: librdkafka, decode", ground.measure("floor")[0], None)
    yield Measured("floor: aiokafka, decode", ground.measure("floor", "aiokafka")[0], None)


def _row(measured: Measured, worker: Rate) -> list[Cell]:
    rate = measured.rate
    faster = f"{worker.per_second / rate.per_second:.2f} x"
    cheaper = f"{rate.cpu_per_million / worker.cpu_per_million:.2f} x"
    return [
        measured.name, rate.events, rate.seconds, rate.per_second, rate.cpu_per_million, faster, cheaper,
        rate.resident / 2**20, measured.alerts,
    ]  # fmt: skip


def _standing(settings: Settings, topic: str) -> int:
    """Alerts whose newest message does not take them back; the same for every engine that has read everything."""
    newest = {}
    for record in read_log(settings, replace(ALERTS, name=topic)):
        alert = orjson.loads(record.value or b"")
        newest[alert["alert_id"]] = alert["status"]
    return sum(status != "withdrawn" for status in newest.values())
