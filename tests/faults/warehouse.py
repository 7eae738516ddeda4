"""The embedded warehouse as one of a field's processes, and whether its rows are the log's records, each once."""

import urllib.request
from collections.abc import Iterable

from pipeline.topics import ALERTS, CONTACTS, INPUTS, OUTCOMES, PURCHASES, SURVEYS
from tests.faults.field import Field
from tests.faults.oracle import Expected, Logged, read_log
from tests.stacks import eventually, free_ports

TABLES = {
    PURCHASES: "raw_purchases",
    CONTACTS: "raw_service_contacts",
    SURVEYS: "raw_survey_responses",
    OUTCOMES: "raw_alert_outcomes",
    ALERTS: "alert_messages",
}


def with_warehouse(field: Field) -> None:
    """Start a warehouse; sinks started after this write to it."""
    field.settings = field.settings.with_changes(clickhouse=f"http://127.0.0.1:{free_ports(1)[0]}")
    field.warehouse()
    eventually(lambda: _answers(field), 30, "the warehouse answers")


def _answers(field: Field) -> bool:
    try:
        with urllib.request.urlopen(f"{field.settings.clickhouse}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def check_rows(field: Field, expected: Expected) -> None:
    """Every valid record of the log is one row, every customer one state, every rejected record one dead letter."""
    for topic, table in TABLES.items():
        valid = expected.valid[topic.name] if topic in INPUTS else places(read_log(field.settings, topic))
        rows = field.rows(f"SELECT _partition, _offset FROM {table}")
        assert len(rows) == len(valid), f"{table}: {len(rows)} rows for {len(valid)} records"
        assert {(int(row["_partition"]), int(row["_offset"])) for row in rows} == valid
    kept = field.rows("SELECT count() AS n FROM customer_states FINAL UNION ALL SELECT count() FROM dead_letters FINAL")
    assert sorted(int(row["n"]) for row in kept) == sorted((len(expected.customers), len(expected.letters)))


def places(records: Iterable[Logged]) -> set[tuple[int, int]]:
    """Partition and offset of each."""
    return {(record.partition, record.offset) for record in records}
