"""Sinks that join, leave, freeze and die while others take their partitions over; and a broker that goes away."""

import signal
import time

import pytest

from pipeline.config import Settings
from pipeline.crashpoints import VARIABLE, Point
from pipeline.errors import Refused
from pipeline.sink import start_checks
from pipeline.topics import TOPICS
from tests.faults.brokers import Brokers
from tests.faults.field import Field
from tests.faults.rows import check_rows
from tests.faults.test_sink_kills import steady_traffic
from tests.faults.volume import EVENTS
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-takeover")


def finished(field: Field) -> int:
    """Wait until all is written, and compare."""
    field.wait_done()
    field.wait_done("sink")
    return check_rows(field)


@pytest.mark.extended
def test_from_one_sink_to_three_and_back_under_traffic_every_row_is_written_once(grown_filled: Field) -> None:
    grown_filled.worker().wait_ready()
    with steady_traffic(grown_filled, 300):
        first = grown_filled.sink().wait_ready()
        others = [grown_filled.sink().wait_ready() for _ in range(2)]
        time.sleep(2)
        first.stop()
        time.sleep(2)
        others[0].stop()
        time.sleep(2)
    assert finished(grown_filled) > 4 * EVENTS


@pytest.mark.extended
@pytest.mark.parametrize(
    ("instance", "step"),
    [
        ("", Point.SINK_INTENT_RECORDED),
        pytest.param("", Point.SINK_INSERTED, marks=pytest.mark.soak),
        pytest.param("a", Point.SINK_INTENT_RECORDED, marks=pytest.mark.soak),
        pytest.param("a", Point.SINK_MID_INSERT, marks=pytest.mark.soak),
    ],
)
def test_what_a_dead_sink_had_recorded_another_finishes(grown_filled: Field, instance: str, step: Point) -> None:
    grown_filled.worker().wait_ready()
    with steady_traffic(grown_filled, 200):
        dying = grown_filled.sink(instance, **{VARIABLE: f"{step}:3"})
        other = grown_filled.sink("b" if instance else "").wait_ready()
        assert dying.wait_dead() == -9
        eventually(lambda: _taken_over(other.said()), 40, "the other has all partitions")
    assert finished(grown_filled) > 4 * EVENTS


def _taken_over(said: list[dict[str, object]]) -> bool:
    return any(
        line["event"] == "partitions assigned" and line["count"] == len(TOPICS) * Settings().partitions for line in said
    )


@pytest.mark.extended
def test_a_sink_frozen_past_its_session_writes_nothing_twice_when_it_wakes(grown_filled: Field) -> None:
    grown_filled.worker().wait_ready()
    with steady_traffic(grown_filled, 300):
        frozen = grown_filled.sink().wait_ready()
        other = grown_filled.sink().wait_ready()
        time.sleep(2)
        frozen.signal(signal.SIGSTOP)
        eventually(lambda: _taken_over(other.said()), 40, "the other has all partitions")
        time.sleep(2)
        frozen.signal(signal.SIGCONT)
        time.sleep(4)
    assert finished(grown_filled) > 4 * EVENTS
    assert frozen.alive


@pytest.mark.extended
@pytest.mark.parametrize(
    "gently", [pytest.param(True, id="restarted", marks=pytest.mark.soak), pytest.param(False, id="killed")]
)
def test_a_broker_that_goes_away_and_comes_back_costs_no_row(
    grown_filled: Field, broker: Brokers, gently: bool
) -> None:
    grown_filled.worker().wait_ready()
    sink = grown_filled.sink().wait_ready()
    with steady_traffic(grown_filled, 300):
        time.sleep(2)
        node = broker.nodes[0]
        node.stop() if gently else node.kill()
        time.sleep(2)
        node.start()
        broker.wait_ready()
        time.sleep(2)
    assert finished(grown_filled) > 4 * EVENTS
    assert sink.alive


@pytest.mark.extended
def test_whoever_migrates_sees_that_a_sink_runs_and_that_it_left(grown_filled: Field) -> None:
    start_checks.nobody_writes(grown_filled.settings, 0.0)
    sink = grown_filled.sink("0").wait_ready()
    with pytest.raises(Refused, match="1 sinks are running"):
        start_checks.nobody_writes(grown_filled.settings, 0.5)
    sink.kill()
    start_checks.nobody_writes(grown_filled.settings)  # a killed one is waited for
