"""The demo, from the built wheel in an empty environment: exact to the cent, and equal to a reference fold."""

from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from pipeline import resources
from pipeline.core.contract.decode import EVENTS
from pipeline.core.fold import Where, step, tick
from pipeline.core.state.customer import Customer, decode_named
from pipeline.simulate import cdnow, population
from pipeline.topics import BY_NAME
from tests.e2e.conftest import Demo

pytestmark = pytest.mark.xdist_group("demo")
DELIVERY = {"applied", "recent", "moved"}


def facts(customer: Customer) -> dict[str, object]:
    return {name: getattr(customer, name) for name in customer.__struct_fields__ if name not in DELIVERY}


def reference(*, service: bool = True) -> tuple[dict[str, Customer], dict[str, str]]:
    """Every customer by a plain fold over what the demo sends, and how every alert stands by what was told last."""
    sent = [("purchases", event) for event in cdnow.purchases()] + (population.cdnow_service(1) if service else [])
    customers: dict[str, Customer] = {}
    alerts: dict[str, str] = {}
    for number, (topic, fields) in enumerate(sent):
        kind = BY_NAME[topic].kind
        assert kind is not None
        event = msgspec.convert(fields, EVENTS[kind], strict=False)
        before = customers.get(event.customer_id) or Customer(customer_id=event.customer_id)
        result = step(before, event, Where(topic, number))
        customers[event.customer_id] = result.customer
        alerts.update({alert.alert_id: alert.status for alert in result.alerts})
    return customers, alerts


def at_rest(demo: Demo, customers: Collection[str]) -> tuple[dict[str, Customer], dict[str, str]]:
    """The states of some customers, and how every alert stands: both of one moment between two looks of the worker."""
    while True:
        states, alerts = (
            demo.rows(f"SELECT {columns} FROM {table} FINAL ORDER BY ALL")
            for columns, table in (("customer_id, state", "customer_states"), ("alert_id, status", "alert_states"))
        )
        if states == demo.rows("SELECT customer_id, state FROM customer_states FINAL ORDER BY ALL"):
            break
    stored = {row["customer_id"]: decode_named(row["state"]) for row in states if row["customer_id"] in customers}
    return stored, {row["alert_id"]: row["status"] for row in alerts}


def test_the_real_purchases_came_through_to_the_cent(demo: Demo) -> None:
    assert demo.report["figures"] == {
        "purchases": "69659",
        "customers": "23570",
        "revenue_usd": "2500315.63",
        "identical_rows": "255",
    }
    assert demo.report["exact"]


def test_an_alert_was_told_to_a_receiver_of_webhooks_and_signed(demo: Demo) -> None:
    delivery = demo.report["delivery"]
    assert delivery["verified"]
    assert delivery["body"]["id"] == delivery["message_id"]
    assert delivery["body"]["data"]["alert_id"] == delivery["body"]["subject"]


def test_the_files_hold_what_the_report_expects() -> None:
    rows = list(cdnow.rows())
    contents = Counter((row.customer, row.date, row.cds, row.dollars) for row in rows)
    assert (len(rows), len({row.customer for row in rows})) == (cdnow.MASTER_ROWS, 23_570)
    assert sum(Decimal(row.dollars) for row in rows) == Decimal("2500315.63")
    assert sum(count - 1 for count in contents.values()) == 255
    assert len(list(cdnow.rows(sample=True))) == cdnow.SAMPLE_ROWS


def test_the_report_says_what_took_how_long(demo: Demo) -> None:
    assert 0 < sum(demo.report["seconds"].values()) < demo.started_seconds


def test_everything_sent_was_folded_and_stored(demo: Demo) -> None:
    report = demo.report
    assert report["folded"] == sum(report["sent"].values())
    assert report["rejected"] == 0
    assert (report["rows"]["raw_purchases"], report["rows"]["raw_service_contacts"]) == (
        report["sent"]["purchases"],
        report["sent"]["service-contacts"],
    )


def test_every_state_and_every_alert_equal_a_reference_fold(demo: Demo) -> None:
    customers, alerts = reference()
    open_before_time_passed = sum(status == "open" for status in alerts.values())
    stored, standing = at_rest(demo, customers)
    assert stored.keys() == customers.keys()
    for name, customer in customers.items():  # on a slow machine the worker has looked again at open alerts by now
        later = tick(customer, stored[name].looked_at)
        customers[name] = later.customer
        alerts.update({alert.alert_id: alert.status for alert in later.alerts})
    different = [name for name, customer in customers.items() if facts(stored[name]) != facts(customer)]
    assert not different
    expected = {identity: status for identity, status in alerts.items() if status != "withdrawn"}
    assert {i: s for i, s in standing.items() if s != "withdrawn"} == expected
    still_open = sum(status == "open" for status in expected.values())
    assert still_open <= demo.report["open_alerts"] <= open_before_time_passed


def test_the_wheel_carries_what_a_run_needs(demo: Demo) -> None:
    package = next(demo.loyalty.parent.parent.glob("lib/python*/site-packages/pipeline"))
    for needed in (
        "schemas/events/purchase.v1.json",
        "schemas/clickhouse/0001_raw_events.sql",
        "data/cdnow/CDNOW_master.txt",
        "data/cdnow/LICENSE.txt",
        "data/kafka/jars-4.3.1.txt",
    ):
        assert (package / needed).is_file(), needed
    assert Path(str(resources.schemas())) != package / "schemas"
