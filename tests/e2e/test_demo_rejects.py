"""Bad input on the running pipeline: each costs only itself, and nothing of it is lost."""

import base64
import json
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from pipeline.core.contract.partitioner import partition_of
from tests.e2e.conftest import Demo
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("demo")
CUSTOMER = "bad-input"


def purchase(number: int, **more: Any) -> bytes:
    fields = {
        "event_id": f"bad-{number}",
        "customer_id": CUSTOMER,
        "occurred_at": "2026-01-01T00:00:00Z",
        "order_id": f"bad-{number}",
        "amount": "10.00",
        "currency": "EUR",
    }
    return json.dumps(fields | more).encode()


def answer(score: Any) -> bytes:
    return json.dumps(
        {
            "event_id": f"nps-{score}",
            "customer_id": CUSTOMER,
            "occurred_at": "2026-01-01T00:00:00Z",
            "instrument": "nps",
            "score": score,
        }
    ).encode()


BAD: dict[str, tuple[str, bytes | None, str]] = {
    "not UTF-8": ("purchases", purchase(1).replace(b"EUR", b"\xff\xfe"), "unparseable"),
    "not JSON": ("purchases", b"customer=1", "unparseable"),
    "NaN": ("purchases", purchase(2).replace(b'"10.00"', b"NaN"), "unparseable"),
    "10^308": ("purchases", purchase(3, amount=1e308), "out-of-range"),
    "no currency": ("purchases", purchase(4).replace(b'"currency": "EUR"', b'"colour": "red"'), "required-missing"),
    "mistyped": ("purchases", purchase(5, incentivised="yes"), "datatype-mismatch"),
    "NPS 11": ("surveys", answer(11), "out-of-range"),
    "NPS -1": ("surveys", answer(-1), "out-of-range"),
    "NPS 7.5": ("surveys", answer(7.5), "datatype-mismatch"),
    "10 MB": ("purchases", purchase(6, note="x" * 10_485_000), "too-large"),
    "deep nesting": ("purchases", b"[" * 50_000, "too-deep"),
    "an empty value": ("purchases", b"", "empty"),
    "no value": ("purchases", None, "empty"),
    "the year 9999": ("purchases", purchase(7, occurred_at="9999-01-01T00:00:00Z"), "future"),
}


@pytest.fixture(scope="module")
def letters(demo: Demo) -> list[dict[str, Any]]:
    """Dead letters after every bad event was sent between two good ones."""
    producer = Producer(
        {"bootstrap.servers": demo.kafka, "partitioner": "murmur2_random", "message.max.bytes": 16_000_000}
    )
    good = 100
    for topic, value, _ in BAD.values():
        producer.produce("purchases", purchase(good), CUSTOMER)
        producer.produce(topic, value, CUSTOMER, headers=[("trace", b"\x00\xff")])
        good += 1
    producer.produce("purchases", purchase(good, surprise={"new": "field"}), CUSTOMER)
    assert producer.flush(30) == 0

    def stored() -> bool:
        return int(demo.rows("SELECT count() AS n FROM dead_letters FINAL")[0]["n"]) >= len(BAD)

    eventually(stored, 30, "every dead letter in the warehouse")
    found: list[dict[str, Any]] = demo.json("dead-letters", "list")
    return found


def test_every_bad_event_became_one_dead_letter_with_its_reason(letters: list[dict[str, Any]]) -> None:
    assert sorted(letter["reason"] for letter in letters) == sorted(reason for _, _, reason in BAD.values())


def test_the_neighbours_were_all_counted(demo: Demo, letters: list[dict[str, Any]]) -> None:
    assert letters
    eventually(
        lambda: demo.json("customer", CUSTOMER)["purchases"] == len(BAD) + 1, 20, "every good neighbour in the state"
    )
    assert demo.json("customer", CUSTOMER)["spent"] == {"EUR": str(10 * (len(BAD) + 1))}


def test_the_original_bytes_are_kept_in_the_topic_and_in_the_warehouse(
    demo: Demo, letters: list[dict[str, Any]]
) -> None:
    rows = demo.rows("SELECT reason, length(value) AS n, base64Encode(value) AS v, key FROM dead_letters FINAL")
    stored = sorted(base64.b64decode(row["v"]) for row in rows)
    assert stored == sorted(value or b"" for _, value, _ in BAD.values())
    assert {row["key"] for row in rows} == {CUSTOMER}
    utf8 = next(letter for letter in letters if "\\xff" in (letter["value"] or ""))
    shown = demo.run("dead-letters", "show", utf8["id"], "--json")
    assert json.loads(shown.stdout)["topic"] == "purchases"


def test_unknown_fields_are_kept_with_the_raw_event_and_counted(demo: Demo, letters: list[dict[str, Any]]) -> None:
    assert letters
    row = demo.rows(f"SELECT raw FROM raw_purchases WHERE customer_id = '{CUSTOMER}' AND raw != ''")
    assert [json.loads(r["raw"])["surprise"] for r in row] == [{"new": "field"}]


@pytest.mark.extended
def test_an_event_of_a_foreign_partitioner_is_set_aside_and_finds_its_place_by_replay(
    demo: Demo, letters: list[dict[str, Any]]
) -> None:
    assert letters
    producer = Producer({"bootstrap.servers": demo.kafka, "partitioner": "murmur2_random"})
    known, new = "foreign-known", "foreign-new"
    producer.produce("purchases", purchase(900, customer_id=known), known)
    producer.flush(10)
    eventually(lambda: demo.run("customer", known).returncode == 0, 20, "a customer in the right partition")
    for customer in (known, new):
        wrong = (partition_of(customer.encode(), 4) + 1) % 4
        producer.produce("purchases", purchase(901, event_id=f"{customer}-1", customer_id=customer), customer, wrong)
    producer.flush(10)

    def count(reason: str) -> int:
        return sum(letter["reason"] == reason for letter in demo.json("dead-letters", "list"))

    eventually(lambda: count("wrong-partition") == 2, 20, "the stray events among the dead letters")
    assert demo.json("customer", known)["purchases"] == 1
    assert demo.run("customer", new).returncode == 1
    assert "Sent 2 records again." in demo.run("dead-letters", "replay", "--reason", "wrong-partition").stdout
    eventually(lambda: demo.run("customer", new).returncode == 0, 20, "the replayed event in the state")
    eventually(lambda: demo.json("customer", known)["purchases"] == 2, 20, "the other one in its customer")
    time.sleep(1)
    assert count("wrong-partition") == 2


@pytest.mark.extended
def test_records_that_somebody_else_wrote_into_our_topics_stop_nothing(
    demo: Demo, letters: list[dict[str, Any]]
) -> None:
    assert letters
    producer = Producer({"bootstrap.servers": demo.kafka, "partitioner": "murmur2_random"})
    spoofed: list[tuple[str, str | bytes | None]] = [
        (f"__loyalty.errors.{name}", b"\xff-1") for name in ("topic", "partition", "offset", "reason")
    ]
    for topic in ("churn-alerts", "customer-states", "dead-letters"):
        producer.produce(topic, b"\xff garbage", "stranger", headers=spoofed)
        producer.produce(topic, None, None, headers=[("__loyalty.errors.topic", None)])
    huge = Producer({"bootstrap.servers": demo.kafka, "compression.type": "lz4", "message.max.bytes": 100_000_000})
    huge.produce("purchases", b"\0" * 40_000_000, "stranger")
    slow = b'{"a":"' + b'\\"' * 130_000
    producer.produce("purchases", slow, "stranger")
    producer.produce("purchases", purchase(990, customer_id="after-garbage"), "after-garbage")
    producer.flush(10)
    huge.flush(20)

    def stored() -> bool:
        return bool(demo.rows("SELECT 1 AS one FROM customers WHERE customer_id = 'after-garbage'"))

    eventually(stored, 20, "what came after the garbage")
    cut = "SELECT count() AS n FROM dead_letters FINAL WHERE reason = 'too-large' AND length(value) = 16777216"
    eventually(lambda: int(demo.rows(cut)[0]["n"]) == 1, 30, "the first 16 MiB of a record that was compressed")
    assert all(process["restarts"] == 0 for process in demo.json("status")["processes"])
    assert demo.run("dead-letters", "list").returncode == 0
