"""A firm's history into a running pipeline: killed in the middle, imported twice, and nobody is told anything."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from confluent_kafka import Producer

from pipeline.importing import note
from pipeline.simulate import cdnow, population
from pipeline.topics import ALERTS, IMPORT_HEADER, PURCHASES
from tests.faults.brokers import Brokers
from tests.faults.field import Field, supervised
from tests.faults.oracle import check_kafka, read_log, stored_states, told_alerts
from tests.faults.rows import check_rows
from tests.faults.warehouses import Embedded

pytestmark = pytest.mark.xdist_group("faults-import")
ROWS = 3_000
SAMPLE = """
kind = "purchase"
[event_id]
columns = "all"
prefix = "old-"
[fields]
customer_id = "customer"
order_id = { constant = "none" }
occurred_at = { column = "day", format = "%Y%m%d", zone = "UTC" }
amount = "dollars"
currency = { constant = "USD" }
category = { column = "kind" }
quantity = "cds"
"""
CONTACTS = """
kind = "service_contact"
[event_id]
column = "event_id"
[fields]
"""


@pytest.fixture(scope="module")
def running(broker: Brokers, embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One pipeline for the module."""
    made = Field(tmp_path_factory.mktemp("import"), broker.bootstrap, clickhouse=embedded.url)
    try:
        made.sink().wait_ready()
        made.worker().wait_ready()
        yield made
    finally:
        made.end()


def loyalty(field: Field, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        env=os.environ | field.settings.as_env() | more, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def imported(field: Field, file: Path, mapping: Path, *options: str, **more: str) -> dict[str, object]:
    done = loyalty(field, "import", file, "--mapping", mapping, "--json", *options, **more)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def settle(field: Field) -> None:
    field.wait_done()
    field.wait_done("sink")


class Export(NamedTuple):
    """The first of the real purchases, with their identical rows, as a shop would export them."""

    file: Path
    mapping: Path
    total: Decimal


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    directory = tmp_path_factory.mktemp("export")
    file, mapping, total = directory / "cdnow.csv", directory / "cdnow.toml", Decimal(0)
    with file.open("w", newline="") as written:
        writer = csv.writer(written)
        writer.writerow(["customer", "day", "cds", "dollars", "kind"])
        for row in islice(cdnow.rows(), ROWS):
            writer.writerow([row.customer, row.date, row.cds, row.dollars, "cd"])
            total += Decimal(row.dollars)
    mapping.write_text(SAMPLE)
    return Export(file, mapping, total)


def test_an_import_that_is_killed_sends_every_row_once(running: Field, export: Export) -> None:
    for crash_at in ("import-noted:1", "import-sending:1", "import-sent:1"):
        killed = loyalty(
            running, "import", export.file, "--mapping", export.mapping, "--rate", "700", CRASH_AT=crash_at
        )  # fmt: skip
        assert killed.returncode == -9, killed.stderr
    done = imported(running, export.file, export.mapping)
    assert done["rejected"] == 0
    records = read_log(running.settings, PURCHASES)
    assert len(records) == ROWS
    assert len({orjson.loads(record.value or b"")["event_id"] for record in records}) == ROWS
    assert 0 < int(str(done["found_in_the_log"])) < ROWS  # what the last note did not know of

    again = imported(running, export.file, export.mapping)
    assert again["sent"] == {"purchases": 0}
    settle(running)
    note.path_of(export.file).unlink()  # a note that was lost is read from the log
    lost = imported(running, export.file, export.mapping)
    assert (lost["sent"], lost["found_in_the_log"]) == ({"purchases": 0}, ROWS)
    assert len(read_log(running.settings, PURCHASES)) == ROWS

    (counted,) = running.rows("SELECT count() AS n, toString(sum(amount)) AS paid FROM purchases")
    assert (int(counted["n"]), Decimal(counted["paid"])) == (ROWS, export.total)
    states = stored_states(running.settings).values()
    assert sum(customer.purchases + customer.refunds for customer in states) == ROWS
    check_rows(running)


@pytest.mark.extended
def test_events_that_were_imported_in_another_way_are_not_sent_again(running: Field, export: Export) -> None:
    imported(running, export.file, export.mapping)
    stranger = Producer({"bootstrap.servers": running.settings.kafka})
    for header in (None, b"", b"\xff", b"/"):  # under our own name, from somebody else
        stranger.produce(running.settings.topic(PURCHASES.name), b"{}", b"c", headers=[(IMPORT_HEADER, header)])
    assert stranger.flush(30) == 0
    settle(running)
    other = export.mapping.with_name("other.toml")
    other.write_text(SAMPLE + 'source = { constant = "shop" }\n')
    copy = export.file.with_name("copy.csv")
    copy.write_bytes(export.file.read_bytes())
    refused = loyalty(running, "import", copy, "--mapping", other)
    assert refused.returncode == 4
    assert "--again" in refused.stderr
    assert not note.path_of(copy).exists()


LINES = """
kind = "purchase"
[event_id]
column = "order"
prefix = "lines-"
[order]
column = "order"
amount = "sum"
[refund]
amount = "back"
[[leave_out]]
column = "state"
equals = "cancelled"
[fields]
customer_id = "who"
order_id = "order"
occurred_at = { column = "day", zone = "UTC" }
amount = { column = "price", times = "count" }
currency = { constant = "EUR" }
"""
ORDERS = 600


@pytest.mark.extended
def test_orders_of_several_lines_and_their_refunds_are_sent_once_when_killed(running: Field, tmp_path: Path) -> None:
    """A row that makes two events, or a part of one, is gone on with where it was."""
    file, mapping = tmp_path / "lines.csv", tmp_path / "lines.toml"
    mapping.write_text(LINES)
    with file.open("w", newline="") as written:
        writer = csv.writer(written)
        writer.writerow(["order", "who", "day", "price", "count", "back", "state"])
        for n in range(ORDERS):
            state = "cancelled" if n % 10 == 0 else "paid"
            writer.writerow([n, f"l-{n % 50}", "2024-01-05", "0.10", 3, "0.20" if n % 3 == 1 else "", state])
            writer.writerow([n, f"l-{n % 50}", "2024-01-05", "0.20", 1, "", state])
    for crash_at in ("import-sent:1", "import-sending:1"):
        killed = loyalty(running, "import", file, "--mapping", mapping, "--rate", "150", CRASH_AT=crash_at)
        assert killed.returncode == -9, killed.stderr
    done = imported(running, file, mapping)
    wanted = {f"lines-{n}": "0.50" for n in range(ORDERS) if n % 10}
    wanted |= {f"lines-{n}-refund": "-0.20" for n in range(ORDERS) if n % 10 and n % 3 == 1}
    values = [orjson.loads(record.value or b"") for record in read_log(running.settings, PURCHASES)]
    sent = [(value["event_id"], value["amount"]) for value in values if value.get("event_id", "").startswith("lines-")]
    assert dict(sent) == wanted
    assert len(sent) == len(wanted)
    assert (done["rejected"], done["left_out"]) == (0, {"state is cancelled": ORDERS // 10 * 2})
    assert 0 < int(str(done["found_in_the_log"])) < len(wanted)


def write_contacts(directory: Path) -> tuple[Path, Path]:
    """Service contacts of the same customers, out of the generator, with every field under its own name."""
    file, mapping = directory / "contacts.jsonl", directory / "contacts.toml"
    known = {row.customer for row in islice(cdnow.rows(), ROWS)}
    service = [
        event for topic, event in population.cdnow_service(1)
        if topic == "service-contacts" and event["customer_id"] in known
    ]  # fmt: skip
    file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in service))
    fields = dict.fromkeys(name for event in service for name in event if name != "event_id")
    mapping.write_text(CONTACTS + "".join(f'{name} = "{name}"\n' for name in fields))
    return file, mapping


@pytest.mark.extended
def test_history_raises_no_alert_for_the_desk_and_a_rebuild_neither(
    running: Field, export: Export, tmp_path: Path
) -> None:
    imported(running, export.file, export.mapping)
    file, mapping = write_contacts(tmp_path)
    sent = imported(running, file, mapping)
    settle(running)
    alerts = told_alerts(running.settings)
    assert len(alerts) > 20, sent
    assert all(alert.backfill for alert in alerts.values())
    listed = loyalty(running, "alerts", "list", "--status", "all", "--json")
    assert json.loads(listed.stdout) == []
    check_kafka(running.settings)

    worker = running.running[-1]
    told = len(read_log(running.settings, ALERTS))
    with supervised(worker):
        done = loyalty(running, "rebuild", "--states", "--yes")
        assert done.returncode == 0, done.stderr
        assert "all equal the live ones. Nobody was told anything." in done.stdout
        settle(running)
    assert len(read_log(running.settings, ALERTS)) == told
    check_kafka(running.settings)

    live = next(alert for alert in alerts.values() if alert.status == "open")
    contact = {
        "event_id": "live", "customer_id": live.customer_id, "occurred_at": "2026-01-01T00:00:00Z",
        "contact_id": "live", "issue_id": live.issue_id, "stage": "opened", "opened_at": "2026-01-01T00:00:00Z",
        "channel": "phone", "kind": "cancellation", "transfers": 4,
    }  # fmt: skip
    running.send(iter([("service-contacts", live.customer_id.encode(), orjson.dumps(contact))]))
    settle(running)
    heard = json.loads(loyalty(running, "alerts", "list", "--json").stdout)
    assert [(alert["alert_id"], alert["transition"]) for alert in heard] == [(live.alert_id, "raised")]
