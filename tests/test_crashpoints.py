"""Crash points: what they accept, and that they kill exactly then."""

import subprocess
import sys

import pytest

from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import Refused


def passes(crash_at: str, times: int) -> int:
    """The exit code of a process that comes through a place a number of times."""
    program = (
        "import os; from pipeline.crashpoints import CrashPoints, Point\n"
        f"points = CrashPoints.from_env(os.environ)\nfor _ in range({times}): points.reached(Point.EFFECTS_SENT)"
    )
    return subprocess.run([sys.executable, "-c", program], env={"CRASH_AT": crash_at}, check=False).returncode


@pytest.mark.parametrize(
    ("crash_at", "code"), [("effects-sent:3", -9), ("effects-sent:4", 0), ("states-sent:1", 0), ("", 0)]
)
def test_the_process_dies_at_the_named_place_at_the_named_time(crash_at: str, code: int) -> None:
    assert passes(crash_at, times=3) == code


@pytest.mark.parametrize("crash_at", ["nowhere:1", "effects-sent", "effects-sent:0", "effects-sent:x", ":1"])
def test_a_place_that_does_not_exist_is_refused(crash_at: str) -> None:
    with pytest.raises(Refused, match="CRASH_AT"):
        CrashPoints.from_env({"CRASH_AT": crash_at})


def test_without_the_variable_nothing_happens() -> None:
    for point in Point:
        CrashPoints.from_env({}).reached(point)
