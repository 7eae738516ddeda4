"""Outcomes that name no alert of their customer are found and said."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.analysis import alerts
from pipeline.cli.printing import alerts as printing
from pipeline.config import Settings
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrations import migrate
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("aggregates")
OUTCOME = {"event_id": "String", "customer_id": "String", "alert_id": "String", "_appended_at": "DateTime64(3, 'UTC')"}


def test_outcomes_for_an_unknown_a_shortened_or_a_foreign_alert_are_named(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    with embedded(tmp_path_factory.mktemp("warehouse")) as settings:
        check(settings)
    assert "3 outcomes name no alert of their customer" in capsys.readouterr().out


def check(settings: Settings) -> None:
    warehouse = connect(settings, create_database=True)
    migrate(warehouse)
    now = datetime.now(UTC)
    before = now - timedelta(minutes=5)
    warehouse.insert(
        "alert_states", {"alert_id": "String", "customer_id": "String"}, [["a" * 32, "42"], ["b" * 32, "43"]], "alerts"
    )
    rows = [
        ["right", "42", "a" * 32, before],
        ["shortened", "42", "a" * 12, before],
        ["foreign", "42", "b" * 32, before],
        ["unknown", "44", "c" * 32, before],
        ["unknown", "44", "c" * 32, before],
        ["on its way", "45", "d" * 32, now],
    ]
    warehouse.insert("raw_alert_outcomes", OUTCOME, rows, "outcomes")
    found = alerts.astray(settings)
    assert {(one["event_id"], one["belongs_to"]) for one in found} == {
        ("shortened", ""), ("foreign", "43"), ("unknown", "")
    }  # fmt: skip
    assert len(found) == 3
    printing.show_astray(found)
