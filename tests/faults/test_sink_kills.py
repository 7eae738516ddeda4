"""The sink, killed at every step and at random: every table equals the log, row for row."""

import pytest

from pipeline.crashpoints import VARIABLE, Point
from tests.faults.field import Field, traffic
from tests.faults.rows import check_rows

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]
STEPS = [point for point in Point if point.startswith("sink-")]


def test_without_any_fault_the_tables_equal_the_log(filled: Field) -> None:
    filled.send(traffic(300))
    filled.worker().wait_ready()
    filled.sink().wait_ready()
    filled.wait_done()
    filled.wait_done("sink")
    assert check_rows(filled) > 1_000


@pytest.mark.parametrize("step", STEPS)
def test_a_sink_killed_at_a_step_repeats_exactly_what_it_had_begun(filled: Field, step: Point) -> None:
    filled.worker().wait_ready()
    sink = filled.sink("0", **{VARIABLE: f"{step}:2"}).wait_ready()
    coming = filled.sending(traffic(300), rate=600)
    assert sink.wait_dead() == -9
    sink.start(**{VARIABLE: ""}).wait_ready()
    coming.join()
    filled.wait_done()
    filled.wait_done("sink")
    check_rows(filled)
