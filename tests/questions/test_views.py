"""The analysts' views: described column by column, and equal to the formulas and reports of the program."""

import re
from typing import Any

import pytest

from pipeline.analysis import holdout_effect, reports
from pipeline.core.glossary.analytics import SEGMENTS
from pipeline.core.measures.effect import smallest_effect
from pipeline.core.measures.intervals import wilson
from pipeline.core.measures.surveys import Scores, nps
from pipeline.errors import NotFound
from pipeline.warehouse.client import Warehouse, connect
from tests.conftest import ROOT
from tests.questions.world import World

pytestmark = pytest.mark.xdist_group("questions")
SQL = (ROOT / "schemas/clickhouse/0010_questions.sql").read_text()
VIEWS = re.findall(r"^CREATE VIEW (\w+)", SQL, re.MULTILINE)
PLAIN = [view for view in VIEWS if not view.endswith(("_at", "_within"))]
ASKED = {"at": "2025-12-31 12:00:00", "days": "365", "capacity": "10"}
CLOSE = pytest.approx


@pytest.fixture(scope="module")
def warehouse(firm: World) -> Warehouse:
    return connect(firm.settings)


def rows(warehouse: Warehouse, sql: str, **parameters: object) -> list[dict[str, Any]]:
    """The answer to a query, by the names of its columns."""
    answer = warehouse.query(sql, parameters)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def described(warehouse: Warehouse, source: str) -> dict[str, str]:
    """The columns of a table or view, and their comments."""
    return {str(row[0]): str(row[4]) for row in warehouse.query(f"DESCRIBE {source}").rows}


@pytest.mark.parametrize("view", PLAIN)
def test_every_column_of_a_view_says_what_it_means(warehouse: Warehouse, view: str) -> None:
    columns = described(warehouse, view)
    assert columns
    assert all(comment for comment in columns.values()), columns
    if {"low", "high"} & columns.keys():
        assert {"low", "high", "n", "definition_version"} <= columns.keys()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_what_it_is(warehouse: Warehouse, view: str) -> None:
    assert warehouse.value(
        "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {v:String}", {"v": view}
    )


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in PLAIN])
def test_a_view_for_a_moment_has_one_for_now_with_the_same_columns(warehouse: Warehouse, view: str) -> None:
    text = SQL.split(f"CREATE VIEW {view} AS")[1].split("CREATE VIEW")[0]
    names = sorted(set(re.findall(r"\{(\w+):", text)))
    given = ", ".join(f"{name} = '{ASKED[name]}'" if name == "at" else f"{name} = {ASKED[name]}" for name in names)
    asked = described(warehouse, f"(SELECT * FROM {view}({given}))")
    now = described(warehouse, re.sub(r"_(at|within)$", "", view))
    assert [column for column in asked if column in now] == list(now)
    assert asked.keys() - now.keys() <= {"horizon_ms", "before", "occasions"}


# --- formulas


def test_the_interval_of_a_share_is_that_of_the_core(warehouse: Warehouse) -> None:
    pairs = [(hits, n) for n in (1, 2, 3, 7, 30, 999, 10_000_000) for hits in {0, 1, n // 3, n - 1, n}]
    found = rows(
        warehouse,
        "SELECT hits, n, loyalty_share_low(hits, n) AS low, loyalty_share_high(hits, n) AS high "
        "FROM (SELECT arrayJoin({pairs:Array(Tuple(UInt64, UInt64))}) AS pair, pair.1 AS hits, pair.2 AS n)",
        pairs=pairs,
    )
    assert len(found) == len(pairs)
    for row in found:
        mine = wilson(row["hits"], row["n"])
        assert (row["low"], row["high"]) == (CLOSE(mine.low, rel=1e-9, abs=0), CLOSE(mine.high, rel=1e-9, abs=0))


def test_the_interval_of_the_nps_is_that_of_the_core(warehouse: Warehouse) -> None:
    counts = [(p, d, q) for p in (0, 1, 5, 400) for d in (0, 1, 5, 401) for q in (0, 1, 1_000) if p + d + q]
    found = rows(
        warehouse,
        "SELECT c.1 AS p, c.2 AS d, c.3 AS q, loyalty_nps_low(p, d, p + d + q) AS low, "
        "loyalty_nps_high(p, d, p + d + q) AS high "
        "FROM (SELECT arrayJoin({counts:Array(Tuple(Float64, Float64, Float64))}) AS c)",
        counts=counts,
    )
    assert len(found) == len(counts)
    for row in found:
        scores: Scores = {9: int(row["p"]), 0: int(row["d"]), 7: int(row["q"])}
        mine = nps(scores)
        assert mine is not None
        assert (row["low"], row["high"]) == (CLOSE(mine.adjusted[0], rel=1e-9), CLOSE(mine.adjusted[1], rel=1e-9))


def test_the_smallest_effect_is_that_of_the_core(warehouse: Warehouse) -> None:
    cases = [
        (left / n, m, n) for n in (1, 2, 30, 999, 10_000) for left in {0, 1, n // 3, n - 1, n} for m in (1, 7, 50_000)
    ]
    found = rows(
        warehouse,
        "SELECT c.1 AS churn, c.2 AS treated, c.3 AS untreated, "
        "loyalty_smallest_effect(churn, treated, untreated) AS smallest "
        "FROM (SELECT arrayJoin({cases:Array(Tuple(Float64, UInt64, UInt64))}) AS c)",
        cases=cases,
    )
    assert {row["smallest"] is None for row in found} == {True, False}
    for row in found:
        mine = smallest_effect(row["churn"], row["treated"], row["untreated"])
        assert row["smallest"] == (None if mine is None else CLOSE(mine, rel=1e-9))
    assert rows(warehouse, "SELECT loyalty_smallest_effect(NULL, 5, 0) AS smallest") == [{"smallest": None}]


def test_of_nothing_there_is_no_interval(warehouse: Warehouse) -> None:
    assert rows(warehouse, "SELECT loyalty_share_low(0, 0) AS low, loyalty_nps_high(0, 0, 0) AS high") == [
        {"low": None, "high": None}
    ]


def test_segments_are_those_of_the_glossary(warehouse: Warehouse) -> None:
    found = rows(warehouse, "SELECT DISTINCT recency, strength, segment FROM rfm_at(at = '2025-12-31 12:00:00')")
    assert {row["segment"] for row in found} == {name for row in SEGMENTS for name in row}
    assert all(SEGMENTS[row["recency"] - 1][row["strength"] - 1] == row["segment"] for row in found)


# --- the reports of the program say the same


def test_recommendation_is_that_of_the_report(firm: World, warehouse: Warehouse) -> None:
    (found,) = rows(warehouse, "SELECT * FROM nps_by_segment_at(at = {at:DateTime64(3, 'UTC')}, days = 36500) "
                    "WHERE segment_kind = 'all'", at=ASKED["at"])  # fmt: skip
    mine = reports.surveys(firm.settings, None, None)["nps"]
    assert (found["n"], found["detractors"], found["promoters"]) == (mine.n, mine.detractors, mine.promoters)
    assert (found["nps"], found["low"], found["high"]) == (CLOSE(mine.score), *map(CLOSE, mine.adjusted))


def test_effort_and_first_contacts_are_those_of_the_report(firm: World, warehouse: Warehouse) -> None:
    given = "(at = {at:DateTime64(3, 'UTC')}, days = 300)"
    effort = {row["origin"]: row for row in rows(
        warehouse, f"SELECT * FROM effort_by_origin_at{given} WHERE channel = 'all'", at=ASKED["at"])}  # fmt: skip
    first = {row["origin"]: row for row in rows(
        warehouse, f"SELECT * FROM first_contact_resolution_at{given}", at=ASKED["at"])}  # fmt: skip
    said = {entry.origin: entry for entry in reports.effort(firm.settings, None, 300)["origins"]}
    assert effort.keys() == first.keys() == said.keys()
    for origin, entry in said.items():
        assert effort[origin]["n"] == entry.issues
        assert effort[origin]["effortless"] == CLOSE(entry.effortless.value, rel=1e-9)
        assert effort[origin]["waiting_minutes_per_contact"] == CLOSE(entry.waiting_minutes_per_contact, rel=1e-9)
        solved = entry.first_contact_resolution
        assert first[origin]["low"] == (None if solved is None else CLOSE(solved.low, rel=1e-9))


def test_the_effect_of_acting_is_that_of_the_report(firm: World, warehouse: Warehouse) -> None:
    (found,) = rows(warehouse, "SELECT * FROM holdout_uplift")
    mine = holdout_effect.measure(firm.settings, 90).found
    assert (found["acted_for"], found["held_out"]) == (mine.treated.customers, mine.held_out.customers)
    assert found["effect_of_acting"] == CLOSE(mine.difference.value, rel=1e-9)
    assert (found["low"], found["high"]) == (CLOSE(mine.difference.low), CLOSE(mine.difference.high))
    assert found["verdict"] == mine.verdict
    assert found["smallest_effect"] == CLOSE(mine.smallest_effect)
    assert found["experiment"] == "trial"


def test_an_earlier_draw_can_still_be_measured(firm: World) -> None:
    """Alerts of before the experiment are no part of it: a customer has one arm within each."""
    drawn_by_alert = holdout_effect.measure(firm.settings, 90, experiment="")
    assert drawn_by_alert.experiment == ""
    trial = holdout_effect.measure(firm.settings, 90)
    assert trial == holdout_effect.measure(firm.settings, 90, experiment="trial")
    assert trial.found != drawn_by_alert.found
    with pytest.raises(NotFound, match="of experiment winter"):
        holdout_effect.measure(firm.settings, 90, experiment="winter")
