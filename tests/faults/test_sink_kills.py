"""The sink, killed at every step and at random: every table equals the log, row for row."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count

import pytest

from pipeline.crashpoints import VARIABLE, Point
from tests.faults.field import Field, Running, traffic
from tests.faults.rows import check_rows
from tests.faults.volume import EVENTS

pytestmark = pytest.mark.xdist_group("faults-sink")
STEPS = [point for point in Point if point.startswith("sink-")]
EXTENDED = {Point.SINK_INTENT_RECORDED, Point.SINK_COMMITTED}


def weight(step: Point) -> tuple[pytest.MarkDecorator, ...]:
    """Where a kill at a step belongs: between the rows and their commit is where most can go wrong."""
    if step is Point.SINK_INSERTED:
        return ()
    return (pytest.mark.extended,) if step in EXTENDED else (pytest.mark.soak,)


@contextmanager
def steady_traffic(field: Field, rate: float) -> Iterator[None]:
    """Traffic for as long as the block lasts."""
    stop = threading.Event()
    events = chain.from_iterable(traffic(100, seed=seed) for seed in count(1))
    sending = threading.Thread(target=field.send, args=(events, rate, stop), daemon=True)
    sending.start()
    try:
        yield
    finally:
        stop.set()
        sending.join(60)


@pytest.mark.extended
def test_without_any_fault_the_tables_equal_the_log(grown_filled: Field) -> None:
    grown_filled.send(traffic(300))
    grown_filled.worker().wait_ready()
    grown_filled.sink().wait_ready()
    grown_filled.wait_done()
    grown_filled.wait_done("sink")
    assert check_rows(grown_filled) > 4 * EVENTS


@pytest.mark.parametrize("step", [pytest.param(step, marks=weight(step)) for step in STEPS])
def test_a_sink_killed_at_a_step_repeats_exactly_what_it_had_begun(grown_filled: Field, step: Point) -> None:
    grown_filled.worker().wait_ready()
    with steady_traffic(grown_filled, 300):  # so that what is read again could end elsewhere
        sink = grown_filled.sink("0", **{VARIABLE: f"{step}:2"})  # it may be dead before anybody sees that it is ready
        assert sink.wait_dead() == -9
        sink.start(**{VARIABLE: ""}).wait_ready()
    grown_filled.wait_done()
    grown_filled.wait_done("sink")
    check_rows(grown_filled)


def harass(sink: Running, times: int, seed: int) -> None:
    """Kill a sink again and again: at a random moment, or at a random step of a random batch, in turns."""
    chance = random.Random(seed)
    for number in range(times):
        if number % 2:  # it may reach its step before anybody sees that it is ready
            assert sink.wait_dead() == -9
            sink.start(**{VARIABLE: ""})
        else:
            sink.wait_ready()
            time.sleep(chance.uniform(0.0, 1.0))
            sink.kill()
            sink.start(**{VARIABLE: f"{chance.choice(STEPS)}:{chance.randint(1, 2)}"})


def rows_after_kills(field: Field, sink: Running, times: int, seed: int, rate: float = 200) -> int:
    """Kill the sink under traffic, let it finish, and compare; returns the number of raw rows."""
    field.worker().wait_ready()
    with steady_traffic(field, rate):
        harass(sink, times, seed)
    if not sink.alive:
        sink.start(**{VARIABLE: ""})
    field.wait_done()
    field.wait_done("sink")
    return check_rows(field)


@pytest.mark.soak
def test_a_sink_killed_again_and_again_writes_every_row_once(grown_filled: Field) -> None:
    assert rows_after_kills(grown_filled, grown_filled.sink("0"), times=12, seed=3) > 4 * EVENTS


@pytest.mark.soak
def test_the_same_kills_double_rows_when_tokens_are_worth_nothing(grown_filled: Field) -> None:
    sink = grown_filled.sink("0", program=("-m", "tests.faults.forgetful"))
    with pytest.raises(AssertionError, match="rows stand there more than once"):
        rows_after_kills(grown_filled, sink, times=12, seed=3)


@pytest.mark.soak
def test_an_aggregate_that_lost_its_window_counts_a_repeated_batch_twice(grown_filled: Field) -> None:
    sink = grown_filled.sink("0").wait_ready()
    grown_filled.send(traffic(60))
    grown_filled.wait_done("sink")
    sink.stop()
    grown_filled.rows("ALTER TABLE survey_answers_daily MODIFY SETTING non_replicated_deduplication_window = 0")
    sink = grown_filled.sink("0", program=("-m", "tests.faults.unchecked"), **{VARIABLE: f"{Point.SINK_INSERTED}:1"})
    grown_filled.send(traffic(60, seed=2))
    assert sink.wait_dead() == -9
    sink.start(**{VARIABLE: ""}).wait_ready()
    grown_filled.wait_done("sink")
    with pytest.raises(AssertionError, match=r"survey_answers_by_day: .* rows differ"):
        check_rows(grown_filled)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_a_sink_killed_two_hundred_times_writes_every_row_once(grown_filled: Field) -> None:
    assert (
        rows_after_kills(grown_filled, grown_filled.sink("0"), times=200, seed=random.randrange(10**6), rate=300)
        > 50_000
    )
