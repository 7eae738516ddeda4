"""What must stand in ClickHouse, recomputed from the log with JSON and sets: every row, once, with the log's values.

Aggregates are recomputed too: see :mod:`tests.faults.sums`.
"""

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline import kafka
from pipeline.core.state.marks import is_piece
from pipeline.topics import ALERTS, DEAD_LETTERS, ERROR_HEADERS, INPUTS, STATES, TOPICS, Topic
from tests.faults.field import Field
from tests.faults.oracle import Logged, parsed, read_log, reference
from tests.faults.sums import check_sums

TABLES = {
    "purchases": "raw_purchases",
    "service-contacts": "raw_service_contacts",
    "surveys": "raw_survey_responses",
    "alert-outcomes": "raw_alert_outcomes",
}
COMPARED = {
    "purchases": ("event_id", "customer_id", "order_id", "currency", "amount"),
    "service-contacts": ("event_id", "customer_id", "contact_id", "issue_id", "stage", "channel"),
    "surveys": ("event_id", "customer_id", "instrument", "score"),
    "alert-outcomes": ("event_id", "customer_id", "alert_id", "action", "result"),
}
Place = tuple[int, int]


TRIES = 5
"""How often rows are compared at most while records are added to the log, as a tick of a worker does."""


def check_rows(
    field: Field,
    refused: frozenset[tuple[str, int, int]] = frozenset(),
    erased: bytes | None = None,
) -> int:
    """Every table equals the log, and every aggregate its recomputation. Returns the raw rows.

    ``refused`` records (topic, partition, offset) have no row, and those that name the ``erased`` customer. Where the
    log grew while they were compared, they are compared again.
    """
    for _ in range(TRIES):
        ends = kafka.end_offsets(field.settings, TOPICS)
        try:
            return _compare(field, refused, erased)
        except AssertionError:
            if kafka.end_offsets(field.settings, TOPICS) == ends:
                raise
            field.wait_done("sink")
    return _compare(field, refused, erased)


def _compare(field: Field, refused: frozenset[tuple[str, int, int]], erased: bytes | None) -> int:
    valid = reference(field.settings).valid
    written = {ALERTS.name: _log(field, ALERTS, erased)}
    for topic in INPUTS:
        places = {place for place in valid[topic.name] if (topic.name, *place) not in refused}
        records = [r for r in _log(field, topic, erased) if (r.partition, r.offset) in places]
        _check_raw(field, topic.name, records)
        written[topic.name] = records
    check_alerts(field, erased)
    check_states(field, erased)
    check_letters(field, erased)
    check_sums(field, written, erased=erased is not None)
    return sum(len(written[topic.name]) for topic in INPUTS)


def _log(field: Field, topic: Topic, erased: bytes | None) -> list[Logged]:
    """The records of a topic, without those of an erased customer."""
    records = read_log(field.settings, topic)
    return records if erased is None else [r for r in records if not is_of(r, erased)]


def is_of(record: Logged, customer: bytes) -> bool:
    """Whether a record names a customer, in one of the ways in which tests write them."""
    value = (record.value or b"").replace(b" ", b"")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in customer.decode()).encode()
    own = (b'"customer_id":"%b"' % customer, b'"customer_id":["%b"]' % escaped)
    return record.key == customer or customer in record.headers.values() or any(way in value for way in own)


def _check_raw(field: Field, topic: str, records: list[Logged]) -> None:
    columns = COMPARED[topic]
    found = field.rows(f"SELECT _partition, _offset, occurred_at, {', '.join(columns)} FROM {TABLES[topic]}")
    _once(TABLES[topic], [(row["_partition"], int(row["_offset"])) for row in found], records)
    by_place = {(row["_partition"], int(row["_offset"])): row for row in found}
    for record in records:
        row, event = by_place[record.partition, record.offset], parsed(record.value or b"")
        assert _moment(row["occurred_at"]) == _moment(event["occurred_at"])
        said = {name: _plain(row[name]) for name in columns}
        assert said == {name: _plain(event[name]) for name in columns}, (topic, record.partition, record.offset)


def _once(table: str, found: list[Place], records: list[Logged]) -> None:
    repeated = [place for place, count in Counter(found).items() if count > 1]
    assert not repeated, f"{table}: {len(repeated)} rows stand there more than once, the first: {repeated[0]}"
    wanted = {(record.partition, record.offset) for record in records}
    assert set(found) == wanted, f"{table}: missing {len(wanted - set(found))}, foreign {len(set(found) - wanted)}"


def _plain(value: Any) -> str:
    try:
        return str(Decimal(str(value)).normalize())
    except ArithmeticError:
        return str(value)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "").replace(" ", "T").split("+")[0])


def check_alerts(field: Field, erased: bytes | None = None) -> None:
    """Every message once; the newest message of every alert as its state."""
    records = _log(field, ALERTS, erased)
    messages = field.rows("SELECT _partition, _offset FROM alert_messages")
    _once("alert_messages", [(row["_partition"], int(row["_offset"])) for row in messages], records)
    newest: dict[str, tuple[int, Any]] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        message = json.loads(record.value or b"")
        newest[message["alert_id"]] = record.offset, message
    rows = field.rows("SELECT alert_id, status, severity, churn_risk_0_1, _offset FROM alert_states FINAL")
    found = {row["alert_id"]: (int(row["_offset"]), row["status"], row["severity"]) for row in rows}
    assert len(rows) == len(found)
    assert found == {name: (offset, m["status"], m["severity"]) for name, (offset, m) in newest.items()}
    assert all(abs(row["churn_risk_0_1"] - newest[row["alert_id"]][1]["churn_risk_0_1"]) < 1e-12 for row in rows)


def check_states(field: Field, erased: bytes | None = None) -> None:
    """The newest record of every customer, and in the history every record of theirs once; pieces have no row."""
    records = [r for r in _log(field, STATES, erased) if not is_piece(r.key or b"")]
    records.sort(key=lambda r: (r.partition, r.offset))
    newest = {(r.key or b"").decode(): (r.partition, r.offset) for r in records if r.value is not None}
    rows = field.rows("SELECT customer_id, _partition, _offset FROM customer_states FINAL")
    found = {row["customer_id"]: (row["_partition"], int(row["_offset"])) for row in rows}
    assert len(rows) == len(found)
    assert found == newest
    kept = field.rows("SELECT _partition, _offset FROM customer_state_history ORDER BY _partition, _offset")
    assert [(row["_partition"], int(row["_offset"])) for row in kept] == [(r.partition, r.offset) for r in records]


def check_letters(field: Field, erased: bytes | None = None) -> None:
    """Every rejected record, with its bytes."""
    wanted = {}
    for record in sorted(_log(field, DEAD_LETTERS, erased), key=lambda r: (r.partition, r.offset)):
        said = {name.removeprefix(ERROR_HEADERS): (value or b"").decode() for name, value in record.headers.items()}
        wanted[said["topic"], int(said["partition"]), int(said["offset"])] = (
            said["reason"], (record.value or b"").hex().upper()
        )  # fmt: skip
    rows = field.rows(
        "SELECT source_topic, source_partition, source_offset, reason, hex(value) AS bytes FROM dead_letters FINAL"
    )
    found = {
        (row["source_topic"], row["source_partition"], int(row["source_offset"])): (row["reason"], row["bytes"])
        for row in rows
    }
    assert len(rows) == len(found)
    assert found == wanted
