"""Everything folded again from the events: the same states, and nobody is told anything."""

import os
import subprocess
import sys

import pytest

from pipeline.topics import ALERTS
from tests.faults.field import Field, traffic
from tests.faults.oracle import check_kafka, read_log, stored_states

pytestmark = [pytest.mark.timeout(200), pytest.mark.xdist_group("faults-worker")]


def rebuild(field: Field) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "rebuild", "--states", "--yes"],
        env=os.environ | field.settings.as_env(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_rebuild_ends_in_the_same_states_and_tells_nobody_anything(field: Field) -> None:
    field.send(traffic(400))
    worker = field.worker().wait_ready()
    field.wait_done()
    assert worker.stop() == 0
    told, before = len(read_log(field.settings, ALERTS)), stored_states(field.settings)
    done = rebuild(field)
    assert done.returncode == 0, done.stderr
    assert f"Erased {len(before)} states" in done.stdout
    assert not stored_states(field.settings)
    for _ in range(2):  # killed in the middle, it goes on being silent
        worker.start(CRASH_AT="states-confirmed:2").wait_dead(60)
    worker.start(CRASH_AT="").wait_ready()
    field.wait_done()
    check_kafka(field.settings)
    assert len(read_log(field.settings, ALERTS)) == told
    field.send(traffic(100, seed=9))
    field.wait_done()
    check_kafka(field.settings)
    assert len(read_log(field.settings, ALERTS)) > told


def test_a_rebuild_beside_a_running_worker_is_refused(field: Field) -> None:
    field.worker().wait_ready()
    done = rebuild(field)
    assert done.returncode == 4
    assert "stop them first" in done.stderr
