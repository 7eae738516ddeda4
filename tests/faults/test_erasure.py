"""A customer is erased end to end: killed at every step, everything replayed afterwards, and nothing is found."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pipeline import kafka
from pipeline.analysis import customer_profile, explanation
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.state.customer import Customer
from pipeline.core.state.marks import customer_of, is_piece, piece_of
from pipeline.core.state.suppression import without_referrer
from pipeline.crashpoints import VARIABLE, Point
from pipeline.erasure import erase as erasing
from pipeline.erasure import export
from pipeline.erasure import receipt as receipts
from pipeline.erasure.reasons import ErasureReason
from pipeline.erasure.suppression_list import Suppression, is_enforced, suppress
from pipeline.erasure.topic_scan import traces
from pipeline.errors import NotFound
from pipeline.operations import audit, dead_letters
from pipeline.sink.open_intents import intents
from pipeline.topics import ALERTS, DEAD_LETTERS, INPUTS, STATES, SUPPRESSED
from tests.faults.field import Field, Sent, traffic
from tests.faults.oracle import (
    Logged,
    check_alerts,
    check_states,
    pass_time,
    read_log,
    reference,
    stored_states,
    told_alerts,
)
from tests.faults.rows import check_rows, is_of
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-erasure")

OTHER = "sim-1-000001"
CRASHES = [point for point in Point if point.startswith("erase-")]


def loyalty(field: Field, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command against a field."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        env=os.environ | field.settings.as_env() | more, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def purchase(name: str, customer: str, **more: Any) -> bytes:
    return orjson.dumps(
        {"event_id": name, "customer_id": customer, "occurred_at": "2025-03-01T10:00:00Z", "order_id": name,
         "amount": "12.50", "currency": "EUR", **more}
    )  # fmt: skip


def naming(customer: str) -> Iterator[Sent]:
    """Everything else that can name a customer: others they recommended us to, and what cannot be used."""
    yield "purchases", OTHER.encode(), purchase("r-1", OTHER, referred_by=customer, colour={"of": "the box"})
    yield "purchases", customer.encode(), b'{"event_id":"broken"'
    yield "purchases", b"nobody", purchase("broken", customer, amount="much")
    escaped = "".join(f"\\u{ord(c):04x}" for c in customer).encode()
    yield "purchases", b"nobody", b'{"event_id":"escaped","customer_id":["%b"]}' % escaped


def misplaced(field: Field, customer: str) -> None:
    """An event of theirs in a partition that is not theirs, and one that names them in a header alone."""
    wrong = (partition_of(customer.encode(), field.settings.partitions) + 1) % field.settings.partitions
    producer = kafka.producer(field.settings, "stranger")
    producer.produce(field.settings.topic("purchases"), purchase("w-1", customer), customer.encode(), wrong)
    header = {"x-customer": customer.encode()}
    producer.produce(field.settings.topic("purchases"), b'{"event_id":"h-1"', None, wrong, headers=header)
    kafka.flush(producer)


def everything_done(field: Field) -> None:
    field.wait_done()
    field.wait_done("sink")


def of(customer: str, records: list[Logged]) -> list[Logged]:
    return [record for record in records if is_of(record, customer.encode())]


def count_of(field: Field, customer: str) -> dict[str, int]:
    """How many records of a customer lie in every topic that somebody reads from the warehouse's side."""
    return {topic.name: len(of(customer, read_log(field.settings, topic))) for topic in (ALERTS, DEAD_LETTERS)}


def mentions(field: Field, text: str, database: str | None = None) -> dict[str, int]:
    """Rows of every table that hold a text in any of their columns, replaced rows included."""
    name = database or field.settings.database
    columns: dict[str, list[str]] = {}
    for row in field.rows(
        f"SELECT table, name FROM system.columns WHERE database = '{name}' "
        "AND type NOT LIKE '%AggregateFunction%' AND table IN "
        f"(SELECT name FROM system.tables WHERE database = '{name}' AND engine LIKE '%MergeTree')"
    ):
        columns.setdefault(row["table"], []).append(f"position(toString(`{row['name']}`), '{text}') > 0")
    assert {"raw_purchases", "dead_letters", "customer_states"} <= columns.keys()
    found = {}
    for table, tests in columns.items():
        (row,) = field.rows(f"SELECT count() AS n FROM {name}.`{table}` WHERE {' OR '.join(tests)}")
        found[table] = int(row["n"])
    return {table: count for table, count in found.items() if count}


def files_with(field: Field, text: str) -> list[str]:
    """Files of the field's tables and of its workers' states that hold a text anywhere."""
    name = field.settings.database
    tables = field.rows(f"SELECT arrayJoin(data_paths) AS path FROM system.tables WHERE database = '{name}'")
    folders = [row["path"] for row in tables if Path(row["path"]).is_dir()]
    states = field.settings.directory / "state"
    assert folders
    done = subprocess.run(
        ["grep", "-rlaF", text, *folders, *([str(states)] if states.is_dir() else [])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()


def erased(field: Field, customer: str) -> dict[str, Any]:
    """The receipt of an erasure that nothing interrupts."""
    found = erasing.look(field.settings, customer)
    receipt: dict[str, Any] = erasing.erase(
        field.settings, found, ErasureReason.CUSTOMER_REQUEST, lambda _line: None, intents
    ).as_data()
    return receipt


def chosen(field: Field) -> str:
    """A customer with an alert, contacts, answers and an outcome."""
    (row,) = field.rows(
        "SELECT customer_id FROM alert_states FINAL WHERE customer_id IN "
        "(SELECT customer_id FROM raw_alert_outcomes) AND customer_id IN (SELECT customer_id FROM raw_survey_responses)"
        f" AND customer_id != '{OTHER}' ORDER BY status = 'open' DESC, customer_id LIMIT 1"
    )
    return str(row["customer_id"])


def check_others(field: Field, customer: str) -> None:
    """States and alerts of everybody else are those of the reference; the warehouse is the log without the erased."""
    expected, stored = reference(field.settings), stored_states(field.settings)
    del expected.customers[customer.encode()]
    expected.alerts = {i: a for i, a in expected.alerts.items() if a.customer_id != customer}
    expected.customers = {key: unreferred(known, customer) for key, known in expected.customers.items()}
    pass_time(expected, stored)
    check_states(stored, expected)
    check_alerts({i: a for i, a in told_alerts(field.settings).items() if a.customer_id != customer}, expected)
    assert check_rows(field, erased=customer.encode()) > 50


def unreferred(known: Customer, customer: str) -> Customer:
    stated = known.stated
    if stated is None or stated.referred_by is None or stated.referred_by.customer_id != customer:
        return known
    return without_referrer(known)


def check_export(field: Field, customer: str, directory: Path) -> None:
    """Everything that is held is in the file, which is nobody else's to read and is never overwritten."""
    out = directory / "customer.json"
    done = loyalty(field, "export", customer, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    document = json.loads(out.read_bytes())
    keyed = [table for table in mentions(field, customer) if table not in ("dead_letters", "erasures")]
    assert document["tables"].keys() == set(keyed)
    assert {row["customer_id"] for rows in document["tables"].values() for row in rows} == {customer}
    assert len(document["dead_letters"]) == 5
    assert {entry["topic"] for entry in document["topics"]} >= {"purchases", "churn-alerts", "dead-letters"}
    assert document["recipients"][0]["recipient"] == "service desk"
    assert loyalty(field, "export", customer, "--out", str(out)).returncode == 4


@pytest.mark.parametrize(
    "crashes", [[Point.ERASE_MID_DELETION], pytest.param(CRASHES, marks=pytest.mark.soak)], ids=["once", "everywhere"]
)
def test_erased_and_replayed_nothing_of_a_customer_comes_back(grown_filled: Field, crashes: list[Point]) -> None:
    field = grown_filled
    worker, sink = field.worker(LOYALTY_STORE="disk").wait_ready(), field.sink().wait_ready()
    field.send(traffic(60))
    everything_done(field)
    customer = chosen(field)
    field.send(naming(customer))
    misplaced(field, customer)
    everything_done(field)
    held = mentions(field, customer)
    assert files_with(field, customer)
    assert {"raw_purchases", "raw_alert_outcomes", "alert_states", "customer_states", "dead_letters"} <= held.keys()
    check_export(field, customer, field.directory)
    told = count_of(field, customer)
    own = [(t.name, r.key or b"", r.value or b"") for t in INPUTS for r in of(customer, read_log(field.settings, t))]

    plan = receipts.plan_data(erasing.look(field.settings, customer))
    before = {entry["place"]: entry["before"] for entry in plan["places"]}
    assert before.keys() >= {"topic customer-states", "raw_purchases.referred_by", "customer_states.state"}
    dry = loyalty(field, "erase", customer, "--reason", "customer-request", "--dry-run", "--json")
    assert json.loads(dry.stdout) == plan
    assert mentions(field, customer) == held

    for point in crashes:
        done = loyalty(field, "erase", customer, "--reason", "customer-request", "--yes", **{VARIABLE: f"{point}:1"})
        assert done.returncode == -9, done.stderr
    receipt = erased(field, customer)
    assert {entry["after"] for entry in receipt["places"]} == {0}
    assert {entry["place"]: entry["before"] for entry in receipt["places"]}.items() >= before.items()
    assert erased(field, customer) == receipt
    assert customer not in json.dumps(receipt)
    assert receipt["on_disk"] == {"old_parts": 0, "detached_parts": 0}
    assert not mentions(field, customer)
    assert not files_with(field, customer)

    field.send(iter(own))
    field.send(naming(customer))
    misplaced(field, customer)
    everything_done(field)
    assert dead_letters.replay(field.settings, lambda _letter: True).of_erased == 5
    assert worker.metric("loyalty_events_suppressed_total") >= len(own)
    assert worker.stop() == 0
    done = loyalty(field, "rebuild", "--states", "--yes")
    assert done.returncode == 0, done.stderr
    worker.start().wait_ready()
    everything_done(field)
    assert customer.encode() not in stored_states(field.settings)
    assert count_of(field, customer) == told
    assert not mentions(field, customer)
    check_others(field, customer)
    assert audit.collect(field.settings)["ok"]

    assert sink.stop() == 0
    group = field.settings.group("sink")
    client = kafka.admin(field.settings)
    client.delete_consumer_groups([group])[group].result(30)
    sink.start(LOYALTY_DATABASE=f"{field.settings.database}_again").wait_ready()
    field.wait_done("sink")
    assert mentions(field, OTHER, f"{field.settings.database}_again")
    assert not mentions(field, customer, f"{field.settings.database}_again")
    check_said_to_be_erased(field, customer)


def check_said_to_be_erased(field: Field, customer: str) -> None:
    asking: list[Callable[[], object]] = [
        lambda: customer_profile.read(field.settings, customer, datetime.now(UTC)),
        lambda: explanation.explain(field.settings, customer),
        lambda: export.collect(field.settings, customer),
    ]
    for ask in asking:
        with pytest.raises(NotFound, match="was erased on"):
            ask()


@pytest.mark.extended
def test_without_a_worker_and_beside_a_dead_sinks_batch_it_is_erased_all_the_same(grown_filled: Field) -> None:
    field = grown_filled
    worker, sink = field.worker().wait_ready(), field.sink().wait_ready()
    field.send(traffic(30, seed=3))
    everything_done(field)
    customer = chosen_any(field)
    field.send(naming(customer))
    everything_done(field)
    assert worker.stop() == 0
    sink.kill()
    sink.start(**{VARIABLE: f"{Point.SINK_MID_INSERT}:1"})  # leaves an intent with half of its rows
    field.send(iter([("purchases", customer.encode(), purchase(f"late-{n}", customer)) for n in range(2)]))
    assert sink.wait_dead() == -9
    receipt = erased(field, customer)
    assert {entry["after"] for entry in receipt["places"]} == {0}
    assert not mentions(field, customer)
    with pytest.raises(NotFound, match="--even-if-unknown"):
        erasing.check_known(erasing.look(field.settings, "no-such-customer"), even_if_unknown=False)
    worker.start().wait_ready()
    sink.start(**{VARIABLE: ""}).wait_ready()
    everything_done(field)
    eventually(lambda: not referred(field, customer), 30, "what others said of them is forgotten too")
    everything_done(field)
    assert customer.encode() not in stored_states(field.settings)
    assert not mentions(field, customer)
    check_others(field, customer)


@pytest.mark.soak
def test_a_worker_killed_while_it_forgets_begins_again_and_says_so_only_when_it_is_done(grown: Field) -> None:
    field = grown
    worker = field.worker().wait_ready()
    field.send(traffic(20))
    field.wait_done()
    known = stored_states(field.settings)
    gone = [key.decode() for key in known][:3]
    worker.kill()
    said = Suppression(datetime(2026, 1, 2, tzinfo=UTC), ErasureReason.TEST_DATA, "r")
    for customer, point in zip(gone, (Point.STATES_SENT, Point.STATES_CONFIRMED), strict=False):
        places = suppress(field.settings, customer, said)
        assert worker.start(**{VARIABLE: f"{point}:1"}).wait_dead() == -9, worker.tail()
        assert not is_enforced(field.settings, places)
    worker.start(**{VARIABLE: ""}).wait_ready()
    eventually(lambda: is_enforced(field.settings, places), 30, "the worker has forgotten them")
    places = suppress(field.settings, gone[2], said)
    eventually(lambda: is_enforced(field.settings, places), 30, "a running worker forgets too")
    assert not {name.encode() for name in gone} & stored_states(field.settings).keys()
    assert len(stored_states(field.settings)) == len(known) - 3


@pytest.mark.soak
def test_once_the_changelog_is_cleaned_no_record_of_it_names_the_customer(filled: Field) -> None:
    field = filled
    field.worker().wait_ready()
    field.sink().wait_ready()
    field.send(traffic(20))
    everything_done(field)
    customer = chosen_any(field)
    receipt = erased(field, customer)
    assert STATES.name in {remains["topic"] for remains in receipt["remains"]}
    at_once = {"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1", "delete.retention.ms": "0",
               "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001"}  # fmt: skip
    changes = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in at_once.items()]
    topic = ConfigResource(ResourceType.TOPIC, field.settings.topic(STATES.name), incremental_configs=changes)
    client = kafka.admin(field.settings)
    client.incremental_alter_configs([topic])[topic].result(30)

    def is_cleaned() -> bool:
        field.send(traffic(20, seed=4))  # what is written last is never cleaned
        return STATES.name not in {
            trace.topic for trace in traces(field.settings, customer, lambda _done, _whole: None)
        }

    eventually(is_cleaned, 150, "the changelog is cleaned")


def referred(field: Field, customer: str) -> bool:
    known = [c.stated for c in stored_states(field.settings).values()]
    return any(s is not None and s.referred_by is not None and s.referred_by.customer_id == customer for s in known)


def chosen_any(field: Field) -> str:
    (row,) = field.rows(
        f"SELECT customer_id FROM customer_states FINAL WHERE purchases > 3 AND customer_id != '{OTHER}' LIMIT 1"
    )
    return str(row["customer_id"])


@pytest.mark.extended
def test_a_customer_with_pieces_of_their_state_is_erased_with_them_beside_a_worker_and_without(filled: Field) -> None:
    """Pieces are records of their own; some of them no state knows of."""
    field, gone = filled, ["the-first-gone", "the-second-gone"]
    stray = b"\x00\x01\x05\x00\x00\x00\x07" + gone[1].encode()
    producer = kafka.producer(field.settings, "lost")
    producer.produce(
        field.settings.topic(STATES.name),
        piece_of({bytes(8): 0}),
        stray,
        partition_of(gone[1].encode(), field.settings.partitions),
    )
    kafka.flush(producer)
    worker, sink = field.worker(LOYALTY_STORE="disk").wait_ready(), field.sink().wait_ready()
    for customer in (OTHER, *gone):
        field.send(
            ("purchases", customer.encode(), purchase(f"{customer}-{number}", customer)) for number in range(400)
        )
    everything_done(field)
    for customer in gone:
        assert pieces_of(field, customer)
        receipt = erased(field, customer)
        assert {entry["after"] for entry in receipt["places"]} == {0}
        assert {place["place"]: place["before"] for place in receipt["places"]}["topic customer-states"] == 1
        assert not pieces_of(field, customer)
        assert not mentions(field, customer)
        if customer == gone[0]:
            assert worker.stop() == 0
            assert customer.encode() not in bytes_under(field.directory / "state")
    worker.start().wait_ready()
    everything_done(field)
    entries = {n: end - 1 for (_, n), (_, end) in kafka.end_offsets(field.settings, [SUPPRESSED]).items()}
    eventually(lambda: is_enforced(field.settings, entries), 60, "the list is in force")
    assert worker.stop() == 0
    held = bytes_under(field.directory / "state")
    assert [name.encode() in held for name in (OTHER, *gone)] == [True, False, False]
    assert pieces_of(field, OTHER)
    assert sink.metric("loyalty_sink_unreadable_records_total") == 0
    assert audit.collect(field.settings)["ok"]


def bytes_under(path: Path) -> bytes:
    """Everything in the files of a folder."""
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


def pieces_of(field: Field, customer: str) -> list[bytes]:
    """The keys of a customer's pieces that the changelog holds."""
    newest = {record.key or b"": record.value for record in read_log(field.settings, STATES)}
    return [key for key, value in newest.items()
            if value is not None and is_piece(key) and customer_of(key) == customer.encode()]  # fmt: skip
