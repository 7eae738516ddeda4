"""The warehouse made anew beside the live one: killed at every step, nothing is lost, repeated or told."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.crashpoints import VARIABLE, Point
from pipeline.sink import duplicates
from pipeline.sink.audit import TABLES
from pipeline.topics import ALERTS, PURCHASES, TOPICS
from pipeline.warehouse.client import connect
from tests.faults.brokers import Brokers
from tests.faults.field import Field, rebuilt, supervised, traffic
from tests.faults.oracle import read_log
from tests.faults.rows import check_rows
from tests.faults.volume import Volume, grow
from tests.faults.warehouses import Embedded
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-import")
STEPS = [point for point in Point if point.startswith("rebuild-")]
NEXT_TO_THE_SWAP = [Point.REBUILD_CARRIED, Point.REBUILD_EXCHANGED]


@pytest.fixture(scope="module")
def filled(
    broker: Brokers, embedded: Embedded, volume: Volume, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Field]:
    """One pipeline for the module, with everything in its tables."""
    made = Field(tmp_path_factory.mktemp("rebuild"), broker.bootstrap, clickhouse=embedded.url)
    try:
        grow(made, volume)
        made.send(traffic(60))
        made.worker().wait_ready()
        made.sink().wait_ready()
        settle(made)
        yield made
    finally:
        made.end()


def settle(field: Field) -> None:
    field.wait_done()
    field.wait_done("sink")


def rebuild(field: Field, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return rebuilt(field, "--warehouse", *options, **more)


def look_for_repeats(field: Field) -> None:
    """What a sink does once a minute."""
    warehouse = connect(field.settings)
    duplicates.search(warehouse, kafka.committed(field.settings, field.settings.group("sink"), TOPICS))
    warehouse.close()


def contents(field: Field) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that records become rows of, but for those that newer ones replaced."""
    return {
        table: field.rows(
            f"SELECT _topic, _partition, _offset, toString(cityHash64(toString(tuple(*)))) AS row "
            f"FROM {table} {final(field, table)} ORDER BY ALL"
        )
        for table in (*TABLES.values(), "alert_states")
    }


def final(field: Field, table: str) -> str:
    (engine,) = field.rows(
        f"SELECT engine FROM system.tables WHERE database = '{field.settings.database}' AND name = '{table}'"
    )
    return "FINAL" if "Replacing" in engine["engine"] else ""


def databases(field: Field) -> set[str]:
    return {row["name"] for row in field.rows("SELECT name FROM system.databases")}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(NEXT_TO_THE_SWAP[:1], id="before the swap"),
        pytest.param(NEXT_TO_THE_SWAP[1:], id="after the swap", marks=pytest.mark.extended),
        pytest.param(STEPS, id="all", marks=pytest.mark.soak),
    ],
)
def test_killed_at_a_step_it_ends_in_what_the_log_says(filled: Field, steps: list[Point]) -> None:
    """The sink goes on while the shadow is filled, and traffic never stops."""
    sink = filled.running[-1]
    filled.rows("INSERT INTO raw_purchases SELECT * FROM raw_purchases LIMIT 3")  # what a rebuild is for
    look_for_repeats(filled)  # the rows that stand there twice are among them now
    filled.rows("DELETE FROM raw_survey_responses WHERE _offset % 5 = 2")
    stop = threading.Event()
    events = chain.from_iterable(traffic(50, seed=seed) for seed in count(2))
    sending = threading.Thread(target=filled.send, args=(events, 100, stop), daemon=True)
    sending.start()
    try:
        with supervised(sink):
            for step in steps:
                killed = rebuild(filled, **{VARIABLE: f"{step}:1"})
                assert killed.returncode == -9, (step, killed.stderr)
            done = rebuild(filled)
            assert done.returncode == 0, done.stderr
            assert "Swapped" in done.stdout
            stop.set()
            sending.join(60)
            settle(filled)
    finally:
        stop.set()
    check_rows(filled)
    assert f"{filled.settings.database}_rebuild" not in databases(filled)
    told = {TABLES[ALERTS.name]: len(read_log(filled.settings, ALERTS))}
    rows = filled.rows("SELECT count() AS n FROM alert_messages")
    assert int(rows[0]["n"]) == told["alert_messages"]


@pytest.mark.soak
def test_what_has_left_the_topics_is_carried_over(filled: Field) -> None:
    settle(filled)
    before = contents(filled)
    lows = {n: end // 2 for (_, n), (_, end) in kafka.end_offsets(filled.settings, [PURCHASES]).items()}
    client = kafka.admin(filled.settings)
    topic = filled.settings.topic(PURCHASES.name)
    for future in client.delete_records([TopicPartition(topic, n, low) for n, low in lows.items()]).values():
        future.result(10)
    refused = subprocess.run(
        [sys.executable, "-m", "pipeline", "rebuild", "--states", "--yes"],
        env=os.environ | filled.settings.as_env(), capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert refused.returncode == 4
    assert "would forget them" in refused.stderr
    with supervised(filled.running[-1]):
        done = rebuild(filled)
    assert done.returncode == 0, done.stderr
    assert "rows of raw_purchases were carried over" in done.stdout
    assert contents(filled) == before


@pytest.mark.extended
def test_a_sink_that_does_not_leave_and_a_foreign_log_leave_everything_as_it_was(filled: Field) -> None:
    settle(filled)
    before = contents(filled)
    filled.rows("ALTER TABLE raw_purchases ADD COLUMN own String")
    refused = rebuild(filled)
    filled.rows("ALTER TABLE raw_purchases DROP COLUMN own")
    assert (refused.returncode, "put the change into a migration first" in refused.stderr) == (4, True)

    filled.rows(
        "INSERT INTO raw_survey_responses (event_id, customer_id, _topic, _partition, _offset) "
        "VALUES ('x', 'x', 'surveys', 0, 9999999)"
    )
    refused = rebuild(filled)
    filled.rows("DELETE FROM raw_survey_responses WHERE event_id = 'x'")
    assert (refused.returncode, "were made anew" in refused.stderr) == (4, True)

    assert contents(filled) == before
    eventually(lambda: filled.running[-1].alive, 5, "the sink was not disturbed")
