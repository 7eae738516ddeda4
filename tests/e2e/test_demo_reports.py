"""``loyalty report`` on a pipeline that has run the demo: equal to a plain count over a reference fold."""

import json
from typing import Any

import orjson
import pytest

from pipeline.core.measures.effort import issues
from pipeline.core.measures.effort_totals import EffortTotals
from pipeline.core.measures.shift import ShiftTotals
from pipeline.core.measures.surveys import SurveyTotals, newest
from pipeline.simulate.population import CDNOW_END
from tests.e2e.conftest import Demo
from tests.e2e.test_demo import reference

pytestmark = pytest.mark.xdist_group("demo")
END = ("--at", CDNOW_END.strftime("%Y-%m-%dT%H:%M:%S"))
AT = int(CDNOW_END.timestamp() * 1000)


def plain(value: Any) -> Any:
    """A result of the core as a program reads it."""
    return json.loads(orjson.dumps(value))


@pytest.mark.extended
def test_every_figure_is_that_of_a_plain_count(demo: Demo) -> None:
    customers, _ = reference()
    ballot, ledger, balance = SurveyTotals(), EffortTotals(), ShiftTotals()
    for customer in customers.values():
        ballot.add(newest(customer, 0, AT + 1))
        ledger.add(issues(customer, AT))
        balance.add(customer, 0, AT)
    said = ballot.result()
    surveys = demo.json("report", "surveys", *END)
    assert surveys["nps"] == plain(said.nps)
    ease = next(iter(said.ratings.values()))
    assert [(entry["question"], entry["mean"]) for entry in surveys["ratings"]] == [("ces2", plain(ease.mean))]
    assert demo.json("report", "effort", *END)["origins"] == plain(ledger.result())
    assert demo.json("report", "shift", *END)["shift"] == plain(balance.result())


def test_what_is_synthetic_is_called_so(demo: Demo) -> None:
    for report in ("surveys", "effort", "shift"):
        shown = demo.run("report", report, *END)
        assert shown.returncode == 0, shown.stderr
        assert "synthetic" in shown.stdout
        assert "n " in shown.stdout
