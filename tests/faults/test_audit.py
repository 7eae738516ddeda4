"""The audit finds what somebody did to the warehouse, and says nothing when nobody did."""

import subprocess
import sys
from typing import Any

import orjson
import pytest

from pipeline import metrics
from pipeline.sink.auditor import Auditor
from pipeline.sink.warehouse import connect
from tests.faults.field import Field, traffic

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("faults")]


def audited(field: Field) -> tuple[int, dict[str, Any]]:
    """The exit code of the command, and what it says to a program."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "audit", "--json"],
        env=field.settings.as_env(), capture_output=True, timeout=60, check=False,
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

    rounds = Auditor(filled.settings, metrics.SinkMetrics(metrics.registry("t")), lambda: connect(filled.settings))
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
    assert told["window"] == 0
