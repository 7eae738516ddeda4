"""Reports of the desk: the same one is one event, and what cannot be meant is refused before anything is sent."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.cli.printing import alerts as printing
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.errors import NotFound, Refused
from pipeline.operations.desk_reports import DeskReport, event_of, record
from pipeline.simulate.send import encode
from pipeline.warehouse.client import Warehouse, connect
from tests.storing import emptied, migrated

pytestmark = pytest.mark.xdist_group("aggregates")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERT = {"alert_id": "a" * 32, "customer_id": "42", "held_out": False}
ONCE = [{"transition": "raised"}, {"transition": "updated"}]
REPORT = DeskReport("not_needed", "none", "solved_itself", "north")


def identity(report: DeskReport = REPORT, told: list[dict[str, Any]] = ONCE, now: datetime = NOW) -> str:
    """The id of the event that a report makes."""
    return str(event_of(ALERT, told, report, now)["event_id"])


def test_a_report_is_a_valid_event_of_the_customer_of_the_alert() -> None:
    event = Decoder("alert_outcome")(encode(event_of(ALERT, ONCE, REPORT, NOW)), NOW).event
    assert (event.customer_id, event.occurred_at, event.source) == ("42", NOW, "loyalty alerts done")


def test_the_same_report_is_the_same_event_whenever_it_is_sent() -> None:
    closed = [*ONCE, {"transition": "closed"}]
    assert identity() == identity(now=NOW + timedelta(days=3)) == identity(told=closed)
    assert identity(REPORT._replace(note="They called back.")) == identity()


OTHERS = {
    "another result": REPORT._replace(result="retained", reason=None),
    "another reason": REPORT._replace(reason="false_alarm"),
    "another action": REPORT._replace(action="called"),
    "another desk": REPORT._replace(desk="south"),
    "a moment of its own": REPORT._replace(at=NOW),
}


@pytest.mark.parametrize("report", OTHERS.values(), ids=OTHERS)
def test_another_report_is_another_event(report: DeskReport) -> None:
    assert identity(report) != identity()


def test_about_an_alert_that_was_opened_again_the_same_report_is_another_event() -> None:
    assert identity(told=[*ONCE, {"transition": "closed"}, {"transition": "reopened"}]) != identity()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Warehouse]]:
    """A database with every table, and no Kafka."""
    with migrated(tmp_path_factory.mktemp("reports")) as made:
        yield made


@pytest.fixture
def settings(place: tuple[Settings, Warehouse]) -> Settings:
    """The same with one alert."""
    settings, warehouse = place
    emptied(warehouse)
    warehouse.command(
        "INSERT INTO alert_states (alert_id, customer_id, status, raised_at, occurred_at) "
        "VALUES (repeat('a', 32), '42', 'open', '2026-03-01', '2026-03-01')"
    )
    return settings


def test_a_report_about_no_alert_is_refused(settings: Settings) -> None:
    with pytest.raises(NotFound, match="no alert has an id that begins with 'b'"):
        record(settings, "b", REPORT)


def test_a_reason_of_another_result_is_refused_with_those_that_go(settings: Settings) -> None:
    with pytest.raises(Refused, match="price does not go with retained; those that do: problem_solved, compensated"):
        record(settings, "a", DeskReport("retained", "called", "price"))


@pytest.mark.parametrize(
    "report", [REPORT._replace(desk="x" * 201), REPORT._replace(at=datetime(2100, 1, 1, tzinfo=UTC))]
)
def test_a_report_that_is_no_event_is_refused(settings: Settings, report: DeskReport) -> None:
    with pytest.raises(Refused, match="the report is no valid event"):
        record(settings, "a", report)


def test_what_is_in_the_warehouse_already_is_not_sent_again(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no Kafka here: sending would fail."""
    event = event_of({**ALERT}, [], REPORT, NOW)
    connect(settings).insert(
        "raw_alert_outcomes",
        {"event_id": "String", "customer_id": "String", "alert_id": "String", "occurred_at": "DateTime64(3, 'UTC')"},
        [[event["event_id"], "42", "a" * 32, NOW]],
        "outcomes",
    )
    recorded = record(settings, "aaaa", REPORT)
    assert recorded.repeated
    printing.show_recorded(recorded)
    assert "reported already, for 2026-03-01 12:00:00; nothing was sent" in capsys.readouterr().out
