"""Alerts are in the order of what is at stake, with who did what; outcomes that name no alert are found and said."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.analysis import alerts
from pipeline.cli.printing import alerts as printing
from pipeline.config import Settings
from pipeline.warehouse.client import Warehouse, connect
from tests.storing import emptied, migrated

pytestmark = pytest.mark.xdist_group("aggregates")
OUTCOME = {"event_id": "String", "customer_id": "String", "alert_id": "String", "_appended_at": "DateTime64(3, 'UTC')"}


ALERT = {
    "alert_id": "String", "customer_id": "String", "status": "String", "severity": "String",
    "churn_risk_0_1": "Float64", "raised_at": "DateTime64(3, 'UTC')", "held_out": "Bool",
}  # fmt: skip
RAISED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Warehouse]]:
    """A database with every table."""
    with migrated(tmp_path_factory.mktemp("alerts")) as made:
        yield made


@pytest.fixture
def settings(place: tuple[Settings, Warehouse]) -> Settings:
    """The same with nothing in it."""
    settings, warehouse = place
    emptied(warehouse)
    return settings


def raise_alerts(settings: Settings, **of: tuple[str, float, datetime]) -> None:
    """Open alerts by the first letter of their ids: whose each is, its risk, when it was raised."""
    rows = [[name * 32, who, "open", "high", risk, at, False] for name, (who, risk, at) in of.items()]
    connect(settings).insert("alert_states", ALERT, rows, "alerts")


def test_outcomes_for_an_unknown_a_shortened_or_a_foreign_alert_are_named(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    check(settings)
    assert "3 outcomes name no alert of their customer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sort", "order"), [("value", "bca"), ("risk", "abc"), ("raised", "cab")], ids=["value", "risk", "newest"]
)
def test_alerts_are_in_the_order_that_is_asked_for(settings: Settings, sort: str, order: str) -> None:
    """Small pays 100 a year at 90 %, large 1,000 at 80 %, of two years; nobody knows what the third pays."""
    day = timedelta(days=1)
    raise_alerts(settings, a=("small", 0.9, RAISED - day), b=("large", 0.8, RAISED - 2 * day), c=("large", 0.7, RAISED))
    pay(settings, small="100", large="2000")
    listed = alerts.listed(settings, "open", None, 10, sort=sort).alerts
    assert "".join(alert["alert_id"][0] for alert in listed) == order
    (large,) = [alert for alert in listed if alert["alert_id"][0] == "b"]
    assert (large["currency"], large["value_at_stake"]) == ("EUR", pytest.approx(1_000, rel=0.01))
    assert large["expected_loss"] == pytest.approx(0.8 * large["value_at_stake"])


def pay(settings: Settings, **paid: str) -> None:
    """What customers paid in euros in the two years before the alerts, and less in dollars."""
    columns = {"customer_id": "String", "first_purchase_at": "DateTime64(3, 'UTC')",
               "spent": "Map(String, Decimal(38, 4))", "refunded": "Map(String, Decimal(38, 4))"}  # fmt: skip
    first = {"small": RAISED - timedelta(days=30), "large": RAISED - timedelta(days=730)}
    rows = [[who, first[who], {"EUR": Decimal(sum_) + 5, "USD": Decimal(3)}, {"EUR": Decimal(5)}]
            for who, sum_ in paid.items()]  # fmt: skip
    connect(settings).insert("customer_states", columns, rows, "customers")


def test_at_a_moment_only_what_was_paid_until_then_counts(settings: Settings) -> None:
    alert = {**ALERT, "occurred_at": "DateTime64(3, 'UTC')"}
    row = ["a" * 32, "42", "open", "high", 0.5, RAISED, False, RAISED]
    connect(settings).insert("alert_messages", alert, [row], "messages")
    connect(settings).insert("alert_states", alert, [row], "alerts")
    columns = {"event_id": "String", "customer_id": "String", "occurred_at": "DateTime64(3, 'UTC')",
               "amount": "Decimal(18, 4)", "currency": "String", "refund_of": "String",
               "_offset": "UInt64"}  # fmt: skip
    day = timedelta(days=1)
    rows = [
        ["1", "42", RAISED - 90 * day, Decimal(50), "EUR", "", 1],
        ["2", "42", RAISED - 80 * day, Decimal(-20), "EUR", "o-1", 2],
        ["3", "42", RAISED - 70 * day, Decimal(10), "USD", "", 3],
        ["4", "42", RAISED + day, Decimal(900), "EUR", "", 4],
    ]
    connect(settings).insert("raw_purchases", columns, rows, "purchases")
    (alert_then,) = alerts.listed(settings, "open", None, 10, at=RAISED).alerts
    assert (alert_then["currency"], alert_then["value_at_stake"], alert_then["expected_loss"]) == ("EUR", 30, 15)
    (later,) = alerts.listed(settings, "open", None, 10, at=RAISED + 2 * day).alerts
    assert later["value_at_stake"] == 930
    assert alerts.one(settings, "a", RAISED).alert["value_at_stake"] == 30


def test_who_never_paid_is_listed_last_and_shown_without_an_amount(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_alerts(settings, a=("nobody", 0.99, RAISED), b=("small", 0.5, RAISED))
    pay(settings, small="100")
    listed = alerts.listed(settings, "open", None, 10).alerts
    assert [alert["customer_id"] for alert in listed] == ["small", "nobody"]
    printing.show_one(alerts.one(settings, "a"))
    assert "Worth: has paid nothing so far." in capsys.readouterr().out
    printing.show_one(alerts.one(settings, "b"))
    assert "Worth: pays 100 EUR a year; times the risk that is 50 EUR." in capsys.readouterr().out


def test_who_did_what_about_an_alert_is_shown(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    raise_alerts(settings, a=("42", 0.9, RAISED))
    printing.show_outcomes(alerts.one(settings, "a").outcomes)
    assert "Nobody said yet what was done" in capsys.readouterr().out
    texts = ("event_id", "customer_id", "alert_id", "action", "result", "reason", "desk", "note")
    columns = dict.fromkeys(texts, "String") | {"occurred_at": "DateTime64(3, 'UTC')", "_offset": "UInt64"}
    hour = timedelta(hours=1)
    rows = [
        ["2", "42", "a" * 32, "none", "not_needed", "solved_itself", "north", "\x1b[2J", RAISED + 2 * hour, 2],
        ["1", "42", "a" * 32, "called", "unreachable", "", "", "", RAISED + hour, 1],
        ["3", "43", "a" * 32, "called", "lost", "price", "", "", RAISED, 3],
    ]
    connect(settings).insert("raw_alert_outcomes", columns, rows, "outcomes")
    printing.show_outcomes(alerts.one(settings, "a").outcomes)
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first == "  2026-03-01 01:00:00  called, unreachable"
    assert second == "  2026-03-01 02:00:00  none, not_needed (solved_itself)  by north: \\x1b[2J"


def check(settings: Settings) -> None:
    warehouse = connect(settings)
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
