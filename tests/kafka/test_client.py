"""Asking a broker that is away, again and again, as a process does for as long as it is."""

import gc
from pathlib import Path

import pytest

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Unreachable
from tests.stacks import free_ports


def threads() -> int:
    """Those of the client library too."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_asking_for_what_nobody_answers_leaves_no_client_behind() -> None:
    away = Settings().with_changes(kafka=f"127.0.0.1:{free_ports(1)[0]},localhost:{free_ports(1)[0]}")
    before = threads()
    gc.disable()  # a long-running process collects its cycles rarely
    try:
        for _ in range(5):
            with pytest.raises(Unreachable, match="Kafka does not answer"):
                kafka.metadata(away)
        assert threads() <= before + 2
    finally:
        gc.enable()
