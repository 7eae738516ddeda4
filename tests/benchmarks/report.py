"""Results as plain aligned tables and as JSON."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from pipeline.local.jars import KAFKA_VERSION
from tests.benchmarks.environments import locked

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """One result: what it is, how it was measured, and its rows."""

    title: str
    how: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def text(self) -> str:
        """The table for people: the first column to the left, figures to the right."""
        cells = [list(self.header), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        lines = [
            "  ".join(c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in cells
        ]
        rule = "-" * len(lines[0])
        return "\n".join(["", f"## {self.title}", self.how, "", lines[0], rule, *lines[1:]])


def shown(cell: Cell) -> str:
    """A figure with as many digits as it is worth."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if isinstance(cell, int) or abs(cell) >= 1_000 else f"{cell:,.1f}" if abs(cell) >= 10 else (
        f"{cell:,.2f}")  # fmt: skip


def machine() -> dict[str, str]:
    """What it ran on."""
    packages = ("faust-streaming", "aiokafka", "confluent-kafka", "msgspec", "uvloop")
    ours = ", ".join(f"{name} {version(name)}" for name in packages)
    return {
        "cpu": f"{os.cpu_count()} cores, {_cpu_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": platform.platform(),
        "python": f"{sys.version.split()[0]}, {_interpreter()}",
        "kafka": f"{KAFKA_VERSION}, one node, replication 1",
        "packages": ours,
        "engines": "python -m pipeline worker; python -m tests.benchmarks.{stock_faust,quix,floor} JOB",
        "quix": f"quixstreams {locked('quixstreams')}, confluent-kafka {locked('confluent-kafka')}",
    }


def _interpreter() -> str:
    """Where the interpreter's code lies: what is compiled calls it millions of times a second."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return platform.python_compiler()
    where = "in a shared library" if "libpython" in maps.read_text() else "in the executable"
    return f"{platform.python_compiler()}, {where}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
