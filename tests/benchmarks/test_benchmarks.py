"""The benchmark runs in one command, every engine does the same work, and nothing of a run is left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.measure import Sample, rate
from tests.benchmarks.report import Table
from tests.conftest import ROOT
from tests.stacks import PORTS, children_of

TITLES = [
    "Throughput", "Latency of alerts", "Recovery and memory", "Cost per event by number of customers",
    "Where each microsecond goes", "Writing to the warehouse", "Bytes on disk", "Time of every question",
    "Webhooks: from alert to receiver", "Webhooks: deliveries", "Webhooks: memory",
]  # fmt: skip


def test_a_rate_is_taken_from_the_first_commit_to_the_last() -> None:
    samples = [Sample(0, 0, 0), Sample(10, 3, 1_000), Sample(11, 3.5, 2_000), Sample(14, 5, 9_000)]
    measured = rate(samples, 0)
    assert (measured.events, measured.seconds, measured.per_second) == (8_000, 4, 2_000)
    assert measured.cpu_per_million == 250


def test_a_run_that_is_one_commit_counts_from_its_start() -> None:
    measured = rate([Sample(0, 0, 0), Sample(10, 3, 1_000)], 0)
    assert (measured.events, measured.seconds, measured.cpu_seconds) == (1_000, 10, 3)


def test_a_table_is_aligned_and_shows_figures_as_they_are_worth() -> None:
    text = Table("T", "how", ("engine", "events/s"), [("a", 12_345.6), ("longer", 1.234), ("none", None)]).text()
    assert text.splitlines()[-5:] == [
        "engine  events/s", "-" * 16, "a         12,346", "longer      1.23", "none           -",
    ]  # fmt: skip


@pytest.mark.extended
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize(
    ("only", "titles"),
    [
        pytest.param(["--only", "throughput"], TITLES[:1], id="throughput"),
        pytest.param([], TITLES, id="all", marks=pytest.mark.soak),
    ],
)
def test_a_smoke_run_prints_its_tables_with_the_same_work_in_every_engine(
    tmp_path: Path, only: list[str], titles: list[str]
) -> None:
    found = tmp_path / "found.json"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", *only, "--json", str(found)], cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch)}, capture_output=True, text=True, timeout=1_100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    tables = {table["title"]: table for table in json.loads(found.read_text())["tables"]}
    assert list(tables) == titles
    assert all(f"## {title}" in done.stdout and tables[title]["rows"] for title in titles)
    _check_same_work(tables["Throughput"])
    if "Latency of alerts" in tables:
        assert column(tables["Latency of alerts"], "alerts")[0] > 0
    assert {path.name for path in scratch.iterdir()} <= {PORTS}
    assert not children_of(scratch)


def column(table: dict[str, Any], name: str) -> list[Any]:
    """The cells under a heading."""
    return [row[table["header"].index(name)] for row in table["rows"]]


def _check_same_work(throughput: dict[str, Any]) -> None:
    events = column(throughput, "events")
    assert min(events) > max(events) / 2
    worker, compiled, faust, quix, *floors = column(throughput, "alerts")
    assert worker == compiled == faust == quix > 0
    assert floors == [None, None]
