"""The warehouse killed, away, slow, or cutting connections: the sink stays and repeats what is uncertain."""

import time
from collections.abc import Iterator

import psutil
import pytest

from pipeline.sink.app import STOP_SECONDS
from tests.faults.field import Field, traffic
from tests.faults.rows import check_rows
from tests.faults.test_sink_kills import steady_traffic
from tests.faults.test_sink_refusals import purchase
from tests.faults.volume import EVENTS
from tests.faults.warehouses import Complaining, Embedded, Proxy
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-takeover")


@pytest.fixture
def proxy(embedded: Embedded) -> Iterator[Proxy]:
    """A proxy in front of the warehouse."""
    made = Proxy(embedded.port)
    yield made
    made.close()


@pytest.fixture
def complaining(embedded: Embedded) -> Iterator[Complaining]:
    """A proxy that says what ClickHouse says when it has no memory or no space."""
    made = Complaining(embedded.port)
    yield made
    made.close()


def rows_in(field: Field) -> int:
    return int(field.rows("SELECT count() AS n FROM raw_purchases")[0]["n"])


@pytest.mark.extended
def test_a_warehouse_killed_twice_under_traffic_holds_every_row_once(grown_filled: Field, embedded: Embedded) -> None:
    grown_filled.worker().wait_ready()
    grown_filled.sink().wait_ready()
    with steady_traffic(grown_filled, 300):
        for _ in range(2):
            before = rows_in(grown_filled)
            eventually(lambda: rows_in(grown_filled) > before, 40, "rows arrive")  # noqa: B023 - called at once
            embedded.kill()
            embedded.start()
    grown_filled.wait_done()
    grown_filled.wait_done("sink")
    assert check_rows(grown_filled) > 4 * EVENTS


@pytest.mark.extended
def test_a_warehouse_that_is_away_is_waited_for_in_bounded_memory(grown_filled: Field, embedded: Embedded) -> None:
    sink = grown_filled.sink().wait_ready()
    grown_filled.send(traffic(50))
    grown_filled.wait_done("sink")
    embedded.kill()
    try:
        grown_filled.send(traffic(1_500, seed=3))
        eventually(lambda: sink.metric("loyalty_sink_paused") == 1, 30, "the sink waits")
        before = psutil.Process(sink.process.pid).memory_info().rss
        grown_filled.send(traffic(1_500, seed=4))
        time.sleep(14)  # longer than a session of the group
        assert psutil.Process(sink.process.pid).memory_info().rss - before < 100_000_000
    finally:
        embedded.start()
    grown_filled.wait_done("sink")
    assert check_rows(grown_filled) > 4 * EVENTS
    assigned = [line for line in sink.said() if line["event"] == "partitions assigned"]
    assert len(assigned) == 1, "it left its group"


@pytest.mark.soak
def test_inserts_that_take_five_seconds_are_waited_for(filled: Field, proxy: Proxy) -> None:
    proxy.slow = 5.0
    sink = filled.sink(clickhouse=proxy.url)
    filled.send(purchase(n) for n in range(100))
    sink.wait_ready()
    filled.wait_done("sink")
    assert sink.metric("loyalty_sink_insert_seconds_sum") > 5
    assert check_rows(filled) == 100
    assert len([line for line in sink.said() if line["event"] == "partitions assigned"]) == 1


@pytest.mark.extended
def test_an_insert_whose_answer_is_lost_is_repeated_and_written_once(filled: Field, proxy: Proxy) -> None:
    sink = filled.sink(clickhouse=proxy.url).wait_ready()
    proxy.cuts = 12
    filled.send(traffic(200))
    filled.worker().wait_ready()
    filled.wait_done()
    filled.wait_done("sink")
    assert proxy.cut == 12
    assert sink.metric("loyalty_sink_retries_total") > 0
    assert check_rows(filled) > 500


@pytest.mark.extended
def test_a_sink_that_is_told_to_stop_while_an_insert_hangs_ends_in_time_and_the_next_finishes(
    filled: Field, proxy: Proxy
) -> None:
    sink = filled.sink("0", clickhouse=proxy.url).wait_ready()
    proxy.slow = 90.0
    filled.send(purchase(n) for n in range(100))
    eventually(lambda: rows_in(filled) > 0, 15, "an insert whose answer does not come")
    started = time.monotonic()
    assert sink.stop(STOP_SECONDS + 4) == 0
    assert time.monotonic() - started > STOP_SECONDS - 1, "it has time to finish"
    proxy.slow = 0.0
    sink.start().wait_ready()
    filled.wait_done("sink")
    assert check_rows(filled) == 100


WITHOUT = {
    "memory": (241, "Memory limit (total) exceeded: would use 9.31 GiB. (MEMORY_LIMIT_EXCEEDED)"),
    "space": (243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
}


@pytest.mark.extended
@pytest.mark.parametrize(
    ("without", "after"),
    [
        pytest.param("memory", False, marks=pytest.mark.soak),
        ("memory", True),
        ("space", False),
        pytest.param("space", True, marks=pytest.mark.soak),
    ],
)
def test_a_warehouse_that_has_no_memory_or_space_for_a_while_is_waited_for(
    filled: Field, complaining: Complaining, without: str, after: bool
) -> None:
    sink = filled.sink(clickhouse=complaining.url).wait_ready()
    complaining.error, complaining.after = WITHOUT[without], after
    filled.send(purchase(n) for n in range(100))
    eventually(lambda: complaining.complaints > 4, 15, "it says so several times")
    assert (rows_in(filled) > 0) == after
    complaining.error = None
    filled.wait_done("sink")
    assert check_rows(filled) == 100
    assert sink.alive
    assert sink.metric("loyalty_sink_retries_total") > 4
    assert sink.metric("loyalty_sink_rejected_records_total") == 0
    assert len([line for line in sink.said() if line["event"] == "partitions assigned"]) == 1
