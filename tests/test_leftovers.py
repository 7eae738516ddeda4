"""Brokers and engines of a session of tests that is killed end all the same."""

import subprocess
import sys
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.stacks import eventually

SESSION = """
import os, subprocess, sys, time
from pathlib import Path
from tests.leftovers import ended_with_us
folder = Path(sys.argv[1])
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
with ended_with_us(folder):
    told = subprocess.Popen([*sleep, str(folder / "server.properties")], start_new_session=True)
    set_ = subprocess.Popen(sleep, env=os.environ | {"LOYALTY_DATA_DIR": str(folder / "deep")}, start_new_session=True)
    other = subprocess.Popen(sleep, env=os.environ | {"LOYALTY_DATA_DIR": str(folder) + "-other"})
    print(told.pid, set_.pid, other.pid, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_session_leaves_is_ended_and_nothing_else(tmp_path: Path) -> None:
    session = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(tmp_path / "session")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert session.stdout is not None
    told, set_, other = (psutil.Process(int(pid)) for pid in session.stdout.readline().split())
    try:
        session.kill()
        eventually(lambda: not _runs(told) and not _runs(set_), 60, "both have been ended")
        assert _runs(other)
    finally:
        other.kill()
        session.wait(10)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
