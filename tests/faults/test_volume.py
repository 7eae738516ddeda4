"""Faults happen on a log of some size: a test that would make do with a toy's fails."""

import ast
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.crashpoints import VARIABLE, Point
from tests.conftest import ROOT
from tests.faults.field import Field
from tests.faults.volume import check_size

pytestmark = pytest.mark.xdist_group("faults")
ON_A_VOLUME = {"grown", "grown_filled", "cluster_field", "volume"}
"""Fixtures that bring it."""
ENDING = ("kill", "stop")
OTHERS = {"embedded", "node", "victim", "stack"}
"""What a test ends beside the processes of a field: a warehouse, a broker, a stack."""
BEGIN_EMPTY = {"test_after_a_reset_nothing_is_left_and_states_that_come_back_are_not_taken_for_ours"}
"""Nothing is killed in them, and what they are about is a stack that holds nothing."""

GROW_THEIR_OWN = {"test_killed_at_every_step_under_traffic_it_loses_nothing_and_changes_nothing"}
"""A notifier's log is alerts: so many of them are delivered in every partition before the first is killed."""


def test_nobody_is_killed_frozen_or_made_to_share_on_a_toys_log(field: Field) -> None:
    worker = field.worker()
    faults: list[Callable[[], object]] = [
        worker.kill,
        lambda: worker.signal(signal.SIGSTOP),
        lambda: worker.start(**{VARIABLE: f"{Point.BEFORE_COMMIT}:1"}),
        field.worker,
    ]
    for fault in faults:
        with pytest.raises(AssertionError, match="a log of some size"):
            fault()
    with pytest.raises(AssertionError, match=r"partition 0 holds 0 events, 10000 are wanted"):
        check_size(field.settings)


def written_in(file: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def ends_others(test: ast.FunctionDef) -> bool:
    """Whether a test ends a broker, a warehouse or a stack without a word, or with one."""
    calls = [node.func for node in ast.walk(test) if isinstance(node, ast.Call)]
    ended = [f for f in calls if isinstance(f, ast.Attribute) and f.attr in ENDING]
    return any(isinstance(f.value, ast.Name) and f.value.id in OTHERS for f in ended) or "SIGKILL" in ast.dump(test)


def test_brokers_warehouses_and_stacks_end_on_such_a_log_too() -> None:
    files = [
        *sorted((ROOT / "tests/faults").glob("test_*.py")),
        ROOT / "tests/local/test_up.py",
        ROOT / "tests/e2e/test_faults.py",
    ]
    found = {
        test.name: {arg.arg for arg in test.args.args}
        for file in files
        for test in written_in(file)
        if ends_others(test)
    }
    assert len(found) >= 8
    assert {name for name, fixtures in found.items() if not fixtures & ON_A_VOLUME} == BEGIN_EMPTY | GROW_THEIR_OWN
