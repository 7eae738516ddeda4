"""The embedded warehouse as a process: one for all modules that only need tables, and others ended with the test."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from pipeline.config import Settings
from pipeline.warehouse.client import connect
from tests.stacks import PATIENCE, eventually, free_ports

SHARED = ExitStack()
"""Keeps the process that everybody shares, until the session closes it."""
_shared: list[Settings] = []


@contextmanager
def database(folder: Path) -> Iterator[Settings]:
    """A new database in the warehouse that this session's modules share; the first starts it on its folder."""
    if not _shared:
        _shared.append(SHARED.enter_context(embedded(folder)))
    made = _shared[0].with_changes(database=f"shared_{uuid4().hex}")
    warehouse = connect(made, create_database=True)
    try:
        yield made
    finally:
        warehouse.command(f"DROP DATABASE `{made.database}` SYNC")
        warehouse.close()


@contextmanager
def embedded(directory: Path) -> Iterator[Settings]:
    """A warehouse that answers; the settings say where."""
    port, metrics = free_ports(2)
    made = Settings(
        data_dir=str(directory), clickhouse=f"http://127.0.0.1:{port}", warehouse_metrics_port=metrics
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "warehouse"],
        env=made.as_env() | {"PATH": "/usr/bin"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: answers(made), 30, "the warehouse answers")
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE * 20)


def answers(settings: Settings) -> bool:
    """Whether a warehouse is there."""
    try:
        with urllib.request.urlopen(f"{settings.clickhouse}/ping", timeout=2) as answer:
            return bool(answer.read() == b"Ok.\n")
    except OSError:
        return False
