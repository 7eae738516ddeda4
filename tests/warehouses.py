"""The embedded warehouse as a process of its own, ended with the test."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Settings
from tests.stacks import PATIENCE, eventually, free_ports


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
