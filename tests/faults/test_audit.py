"""The audit finds what somebody did to the warehouse, and says nothing when nobody did."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from pipeline import metrics
from pipeline.operations import audit
from pipeline.sink.auditor import Auditor
from pipeline.warehouse.client import connect
from tests.faults.field import Field, traffic
from tests.faults.load import endless

pytestmark = pytest.mark.xdist_group("faults-audit")


def audited(field: Field) -> tuple[int, dict[str, Any]]:
    """The exit code of the command, and what it says to a program."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "audit", "--json"],
        env=field.settings.as_env(), capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    return done.returncode, orjson.loads(done.stdout or done.stderr)


def wrong(found: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Tables that are not well: repeated rows and missing ones; and conclusions."""
    tables = {t["table"]: (t["repeated"], len(t["missing"])) for t in found["tables"] if not t["ok"]}
    return tables | {c["conclusion"]: (0, c["disagreeing"]) for c in found["conclusions"] if not c["ok"]}


def test_the_audit_names_every_row_that_is_missing_repeated_or_stale(filled: Field) -> None:
    filled.send(traffic(200))
    filled.worker().wait_ready()
    filled.sink().wait_ready()
    filled.wait_done()
    filled.wait_done("sink")
    code, found = audited(filled)
    assert (code, wrong(found)) == (0, {})
    without = {t["table"]: t["without_row"] for t in found["tables"]}
    assert without["raw_purchases"] > 0, "no dead letters to explain"
    view = filled.rows("SELECT sum(rows) AS rows, sum(repeated) AS again, sum(gaps) AS gaps FROM audit")[0]
    assert int(view["again"]) == 0
    assert int(view["gaps"]) > 0

    rounds = Auditor(filled.settings, metrics.SinkMetrics(metrics.registry("t")), lambda: connect(filled.settings), {})
    assert set(rounds.round().values()) == set(rounds.round().values()) == {0}

    filled.rows("INSERT INTO raw_purchases SELECT * FROM raw_purchases LIMIT 3")
    filled.rows("DELETE FROM raw_survey_responses WHERE _offset % 50 = 7")
    filled.rows("DELETE FROM alert_states WHERE alert_id = (SELECT argMin(alert_id, _offset) FROM alert_states)")
    filled.rows(
        "DELETE FROM customer_states WHERE _partition = 1 "
        "AND _offset = (SELECT max(_offset) FROM customer_states WHERE _partition = 1)"
    )
    filled.rows("DELETE FROM customer_state_history WHERE _offset % 50 = 7")
    code, found = audited(filled)
    assert code == 1
    bad = wrong(found)
    assert bad["raw_purchases"] == (3, 0)
    assert bad["raw_survey_responses"][1] > 0
    assert bad["alert_states"] == (0, 1)
    assert bad["customer_states"] == (0, 1)
    assert bad["customer_state_history"][1] > 0
    assert len(bad) == 5
    assert set(rounds.round().values()) == {0}, "told after one look"
    told = rounds.round()
    assert told["repeated"] == 3
    assert told["missing"] == bad["raw_survey_responses"][1] + bad["customer_state_history"][1] + 1
    assert told["disagreeing"] == 1
    assert told["states"] > 0
    assert told["window"] == 0


LARGE = (
    b'{"event_id":"large-%d","customer_id":"large","occurred_at":"2026-01-01T00:00:00Z","order_id":"%d",'
    b'"amount":"99999999999","currency":"EUR"}'
)
TOO_MANY = 9_230
"""So many of these are more money than a state can hold; the last few become dead letters."""
REFUSED = (
    b'{"event_id":"refused","customer_id":"refused","occurred_at":"2026-01-01T00:00:00Z","instrument":"nps",'
    b'"score":3,"verbatim":"not here"}'
)
"""An answer whose row ClickHouse refuses."""


def contradictions(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Customers and topics whose states and events contradict each other, and how."""
    return {
        (one["customer_id"], one["topic"], kind)
        for each in found["states"]
        for one in each["contradictions"]
        for kind, holds in {
            "the state counts too many": one["counted"] > one["events"],
            "the state counts too few": one["counted"] < one["events"],
            "events that are done with and not counted": one["not_counted"],
            "the sums of money differ": one["sums_differ"],
        }.items()
        if holds
    }


def picked(field: Field, *conditions: str) -> list[str]:
    """For each condition a customer whose state fits it; each another one."""
    customers = ["large"]
    for condition in conditions:
        others = ", ".join(f"'{name}'" for name in customers)
        (row,) = field.rows(
            f"SELECT customer_id FROM customer_states FINAL WHERE {condition} AND customer_id NOT IN ({others}) "
            "ORDER BY customer_id LIMIT 1"
        )
        customers.append(str(row["customer_id"]))
    return customers[1:]


@contextmanager
def background(field: Field) -> Iterator[None]:
    """Traffic until the block is over."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, "load") as pool:
        sending = pool.submit(field.send, endless(1), 150.0, stop)
        try:
            yield
        finally:
            stop.set()
        assert sending.result(120)


@pytest.mark.parametrize("audits", [3, pytest.param(12, marks=pytest.mark.extended)])
def test_under_traffic_the_audit_finds_nothing_that_is_not_there_and_then_everything_that_is(
    filled: Field, audits: int
) -> None:
    filled.sink().wait_ready()
    filled.worker().wait_ready()
    filled.rows("ALTER TABLE raw_survey_responses ADD CONSTRAINT picky CHECK verbatim != 'not here'")
    filled.send(("purchases", b"large", LARGE % (n, n)) for n in range(TOO_MANY))
    filled.send(iter([("surveys", b"refused", REFUSED)]))
    rounds = Auditor(filled.settings, metrics.SinkMetrics(metrics.registry("t")), lambda: connect(filled.settings), {})
    judged = 0
    with background(filled):
        for _ in range(audits):
            found = audit.collect(filled.settings)
            assert found["ok"], {part: found[part] for part in ("tables", "conclusions", "aggregates", "states")}
            judged = max(judged, sum(one["compared"] - one["not_yet"] for one in found["states"]))
            assert set(rounds.round().values()) == {0}
    assert judged > 500, "nothing was judged while traffic flowed"
    filled.wait_done()
    filled.wait_done("sink")
    found = audit.collect(filled.settings)
    assert (found["ok"], [one["not_yet"] for one in found["states"]]) == (True, [0, 0, 0, 0])
    letters = filled.rows("SELECT reason FROM dead_letters FINAL WHERE key IN ('large', 'refused') GROUP BY reason")
    assert {row["reason"] for row in letters} == {"out-of-range", "rejected-by-warehouse"}

    doubled, dearer, without, more, lost = picked(
        filled, "purchases > 3", "purchases > 3", "contact_events > 3", "survey_answers > 1",
        "purchases > 0 AND events = purchases + refunds",
    )  # fmt: skip
    change = "SETTINGS mutations_sync = 2"
    filled.rows(
        "ALTER TABLE customer_states UPDATE purchases = purchases + 1, events = events + 1 "
        f"WHERE customer_id = '{doubled}' {change}"
    )
    filled.rows(f"ALTER TABLE raw_purchases UPDATE amount = amount + 1 WHERE customer_id = '{dearer}' {change}")
    own = f"WHERE customer_id = '{without}'"
    filled.rows(
        f"DELETE FROM raw_service_contacts {own} AND _event = (SELECT min(_event) FROM raw_service_contacts {own})"
    )
    filled.rows(
        "INSERT INTO raw_survey_responses SELECT * REPLACE ('nobody sent this' AS event_id) "
        f"FROM raw_survey_responses WHERE customer_id = '{more}' LIMIT 1"
    )
    filled.rows(f"DELETE FROM customer_states WHERE customer_id = '{lost}'")
    found = audit.collect(filled.settings)
    assert not found["ok"]
    assert contradictions(found) == {
        (doubled, "purchases", "the state counts too many"),
        (dearer, "purchases", "the sums of money differ"),
        (without, "service-contacts", "the state counts too many"),
        (more, "surveys", "the state counts too few"),
        (lost, "purchases", "events that are done with and not counted"),
    }
    rounds.round()
    assert rounds.round()["states"] == 5
