"""Rows per second of the sink, against a bare insert of the same rows into the same engine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from tests.benchmarks.ground import PATIENCE, Ground, from_path
from tests.benchmarks.measure import Commits, Rate, cpu_seconds, rate, resident, watch
from tests.benchmarks.report import Cell, Table
from tests.benchmarks.warehouse import at_rest
from tests.conftest import ROOT
from tests.faults.field import Field
from tests.faults.warehouse import with_warehouse
from tests.stacks import eventually


class Written(NamedTuple):
    """Rows that went into the engine, and what it took on both sides."""

    name: str
    rows: int
    seconds: float
    client: float
    """CPU seconds of the process that inserts."""
    engine: float
    """CPU seconds of the engine."""

    @property
    def per_core(self) -> float:
        """Rows per second of CPU, both sides together."""
        return self.rows / (self.client + self.engine)


def run(ground: Ground) -> list[Table]:
    """The sink from Kafka, as it is and with the core compiled, and the rows alone, in turns."""
    rounds = [_round(ground) for _ in range(ground.sizes.writing_rounds)]
    how = (
        f"{len(ground.events):,} raw events, all in the log before the sink starts; the same rows in the same blocks, "
        "made before the clock starts,\nfor the bare insert. Rates per core count the CPU of both sides: the process "
        f"that inserts, and the engine\nuntil it has merged everything. {len(rounds)} rounds: each row is that with "
        "the middle rate, the last column is\nthe middle ratio of a round, and the lowest and the highest."
    )
    header = (
        "", "rows", "s", "rows/s", "CPU us/row", "of it the engine", "rows/s per core", "of the bare insert's",
    )  # fmt: skip
    return [Table("Writing to the warehouse", how, header, [_row(kind, rounds) for kind in zip(*rounds, strict=True)])]


def _round(ground: Ground) -> list[Written]:
    """Each once, the bare insert last."""
    found: list[Written] = []
    if ground.compiled_place is not None:
        with _field(ground) as field:
            found.append(_sink(field, len(ground.events), ground.compiled_place))
    with _field(ground) as field:
        return [_sink(field, len(ground.events)), *found, _bare(field)]


def _row(found: Sequence[Written], rounds: Sequence[Sequence[Written]]) -> list[Cell]:
    middle = sorted(found, key=lambda written: written.per_core)[len(found) // 2]
    ratios = [written.per_core / of_round[-1].per_core for written, of_round in zip(found, rounds, strict=True)]
    return [
        middle.name, middle.rows, middle.seconds, middle.rows / middle.seconds,
        (middle.client + middle.engine) / middle.rows * 1e6, middle.engine / middle.rows * 1e6, middle.per_core,
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
    ]  # fmt: skip


@contextmanager
def _field(ground: Ground) -> Iterator[Field]:
    """A field with the mix in its topics and a warehouse."""
    field = ground.new_field()
    field.send(iter(ground.events))
    with_warehouse(field)
    try:
        yield field
    finally:
        field.end()


def _sink(field: Field, events: int, compiled: Path | None = None) -> Written:
    engine = field.running[0].process.pid
    warehouse = connect(field.settings, create_database=True)
    migrate(warehouse)
    before = _rested(warehouse, engine)
    sink = field.sink() if compiled is None else field.sink(program=from_path("sink"), PYTHONPATH=str(compiled))
    commits = Commits(field.settings, field.settings.group("sink"))
    try:
        samples = watch(sink.process, commits.done, events, PATIENCE)
    finally:
        commits.close()
    found: Rate = rate(samples, resident(sink.process.pid))
    spent = _rested(warehouse, engine) - before
    sink.stop()
    name = "the sink" if compiled is None else "the sink, core compiled"
    return Written(name, found.events, found.seconds, found.cpu_seconds, spent * found.events / events)


def _rested(warehouse: Warehouse, engine: int) -> float:
    """What the engine has spent when it has merged everything: that belongs to an insert too."""
    at_rest(warehouse)
    return cpu_seconds(engine)


def _bare(field: Field) -> Written:
    engine, warehouse = field.running[0].process.pid, connect(field.settings)
    settings: Settings = field.settings.with_changes(database=f"{field.settings.database}_bare")
    ready = Path(settings.data_dir, "bare-ready")
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bare_insert", json.dumps(asdict(settings))],
        cwd=ROOT, env={n: os.environ[n] for n in ("PATH", "HOME", "LANG") if n in os.environ},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        eventually(lambda: ready.exists() or child.poll() is not None, PATIENCE, "the rows are made")
        before = _rested(warehouse, engine)
        Path(settings.data_dir, "bare-go").touch()
        told, _ = child.communicate(timeout=PATIENCE)
        spent = _rested(warehouse, engine) - before
    finally:
        child.kill()
    found = json.loads(told)
    return Written("bare insert", found["rows"], found["seconds"], found["cpu_seconds"], spent)
