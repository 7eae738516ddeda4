"""Bytes to events: every example and every broken example, and bytes no example file could hold."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import resources
from pipeline.core.contract.decode import MAX_BYTES, Decoder, Kind
from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import BadEvent, Reason

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KINDS: tuple[Kind, ...] = ("purchase", "service_contact", "survey_response", "alert_outcome")
SCHEMAS = Path(str(resources.schemas()))
EXAMPLES = sorted(path for kind in KINDS for path in (SCHEMAS / "examples" / kind).rglob("*.json"))
ALERTS = sorted((SCHEMAS / "examples/churn_alert").rglob("*.json"))
PURCHASE = json.loads((SCHEMAS / "examples/purchase/valid/minimal.json").read_text())


def kind_of(example: Path) -> Kind:
    return next(kind for kind in KINDS if kind in example.parts)


def verdict(kind: Kind, value: bytes | None) -> Reason | None:
    try:
        Decoder(kind)(value, NOW)
    except BadEvent as bad:
        return bad.reason
    return None


def purchase(**changes: Any) -> bytes:
    return json.dumps(PURCHASE | changes).encode()


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(path.relative_to(SCHEMAS / "examples")) for path in EXAMPLES])
def test_schema_and_struct_give_every_example_the_same_verdict(example: Path) -> None:
    kind = kind_of(example)
    schema = json.loads((SCHEMAS / f"events/{kind}.v1.json").read_text())
    by_schema = jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(
        json.loads(example.read_bytes())
    )
    expected = None if example.parent.name == "valid" else Reason(example.name.split("--")[0])
    assert verdict(kind, example.read_bytes()) == expected
    assert by_schema == (expected is None)


@pytest.mark.parametrize("example", ALERTS, ids=[path.stem for path in ALERTS])
def test_schema_and_struct_give_every_alert_the_same_verdict(example: Path) -> None:
    schema = json.loads((SCHEMAS / "events/churn_alert.v1.json").read_text())
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    try:
        msgspec.json.decode(example.read_bytes(), type=ChurnAlert)
        by_struct = True
    except msgspec.ValidationError:
        by_struct = False
    assert by_struct == (example.parent.name == "valid")
    assert validator.is_valid(json.loads(example.read_bytes())) == by_struct


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_valid_and_broken_examples(kind: Kind) -> None:
    folders = {path.parent.name for path in EXAMPLES if kind_of(path) == kind}
    assert folders == {"valid", "broken"}


POISON: dict[str, tuple[bytes | None, Reason]] = {
    "no value": (None, Reason.EMPTY),
    "an empty value": (b"", Reason.EMPTY),
    "not UTF-8": (purchase().replace(b"c-1", b"\xff\xfe"), Reason.UNPARSEABLE),
    "not UTF-8 from the first byte": (b"\x80\x81", Reason.UNPARSEABLE),
    "not JSON": (b"customer=1&amount=2", Reason.UNPARSEABLE),
    "half an object": (purchase()[:-10], Reason.UNPARSEABLE),
    "two objects": (purchase() + purchase(), Reason.UNPARSEABLE),
    "NaN": (purchase().replace(b'"49.90"', b"NaN"), Reason.UNPARSEABLE),
    "Infinity": (purchase().replace(b'"49.90"', b"-Infinity"), Reason.UNPARSEABLE),
    "10^308": (purchase().replace(b'"49.90"', b"1e308"), Reason.OUT_OF_RANGE),
    "10^400": (purchase().replace(b'"49.90"', b"1e400"), Reason.OUT_OF_RANGE),
    "10 MB": (purchase(note="x" * 10_000_000), Reason.TOO_LARGE),
    "one byte too many": (purchase().ljust(MAX_BYTES + 1), Reason.TOO_LARGE),
    "nested 100,000 deep": (b"[" * 100_000, Reason.TOO_DEEP),
    "nested 30,000 deep in an unknown field": (
        purchase()[:-1] + b',"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        Reason.TOO_DEEP,
    ),
    "a null byte": (purchase(customer_id="a\0b"), Reason.OUT_OF_RANGE),
    "half a surrogate pair": (purchase().replace(b"c-1", rb"\ud800"), Reason.UNPARSEABLE),
    "null": (b"null", Reason.DATATYPE_MISMATCH),
    "a list of events": (b"[" + purchase() + b"]", Reason.DATATYPE_MISMATCH),
    "the year 9999": (purchase(occurred_at="9999-12-31T23:59:59Z"), Reason.FUTURE),
    "the year 1": (purchase(occurred_at="0001-01-01T00:00:00Z"), Reason.OUT_OF_RANGE),
}


@pytest.mark.parametrize(("value", "reason"), POISON.values(), ids=POISON)
def test_poison_is_rejected_with_its_reason(value: bytes | None, reason: Reason) -> None:
    assert verdict("purchase", value) == reason


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [(timedelta(hours=1), None), (timedelta(hours=24), None), (timedelta(hours=24, seconds=1), Reason.FUTURE)],
)
def test_a_source_clock_may_run_a_day_ahead_of_the_broker_and_no_more(ahead: timedelta, reason: Reason | None) -> None:
    assert verdict("purchase", purchase(occurred_at=(NOW + ahead).isoformat())) == reason


@pytest.mark.parametrize("promised", ["9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2027-03-03T00:00:00Z"])
def test_a_call_back_cannot_be_promised_for_any_time(promised: str) -> None:
    opened = json.loads((SCHEMAS / "examples/service_contact/valid/opened.json").read_text())
    assert verdict("service_contact", json.dumps(opened).encode()) is None
    broken = json.dumps(opened | {"promised_callback_at": promised}).encode()
    assert verdict("service_contact", broken) == Reason.OUT_OF_RANGE


CONTRACT = {"kind": "contractual"}
IMPOSSIBLE: dict[str, tuple[Kind, dict[str, Any], Reason | None]] = {
    "a delivery of tomorrow": ("purchase", {"delivered_at": "2026-06-01T23:00:00Z"}, None),
    "a delivery of the day after": ("purchase", {"delivered_at": "2026-06-02T00:00:01Z"}, Reason.FUTURE),
    "a delivery before 1970": ("purchase", {"delivered_at": "1969-12-31T23:59:59Z"}, Reason.OUT_OF_RANGE),
    "a delivery promised for 9999": ("purchase", {"promised_delivery_at": "9999-01-01T00:00:00Z"}, Reason.OUT_OF_RANGE),
    "referred by oneself": ("purchase", {"referred_by": PURCHASE["customer_id"]}, Reason.INCONSISTENT),
    "bound for 99 years": ("purchase", {"bindings": [CONTRACT | {"ends_at": "2125-01-01T00:00:00Z"}]}, None),
    "bound for 200 years": (
        "purchase", {"bindings": [CONTRACT | {"ends_at": "2226-01-01T00:00:00Z"}]}, Reason.OUT_OF_RANGE,
    ),
    "notice at the end": (
        "purchase",
        {"bindings": [CONTRACT | {"ends_at": "2027-01-01T00:00:00Z", "notice_by": "2027-01-01T00:00:00Z"}]},
        None,
    ),
    "notice after the end": (
        "purchase",
        {"bindings": [CONTRACT | {"ends_at": "2027-01-01T00:00:00Z", "notice_by": "2027-01-01T00:00:01Z"}]},
        Reason.INCONSISTENT,
    ),
    "consent of later": (
        "purchase", {"survey_consent": "granted", "survey_consent_at": "2026-06-03T00:00:00Z"}, Reason.INCONSISTENT,
    ),
    "consent before 1970": (
        "purchase", {"survey_consent": "granted", "survey_consent_at": "1969-06-03T00:00:00Z"}, Reason.OUT_OF_RANGE,
    ),
    "called back in a year": ("service_contact", {"called_back_at": "2027-03-01T09:30:00Z"}, Reason.INCONSISTENT),
    "answered in a year": ("service_contact", {"answered_at": "2027-03-01T09:30:00Z"}, Reason.INCONSISTENT),
    "answered before 1970": ("service_contact", {"answered_at": "1969-03-01T09:30:00Z"}, Reason.OUT_OF_RANGE),
    "an answer promised for 9999": (
        "service_contact", {"promised_answer_at": "9999-03-01T09:30:00Z"}, Reason.OUT_OF_RANGE,
    ),
}  # fmt: skip
"""What JSON Schema cannot say about facts that only some sources know."""


@pytest.mark.parametrize(("kind", "said", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_optional_facts_have_limits_too(kind: Kind, said: dict[str, Any], reason: Reason | None) -> None:
    opened = json.loads((SCHEMAS / "examples/service_contact/valid/opened.json").read_text())
    event = PURCHASE if kind == "purchase" else opened
    assert verdict(kind, json.dumps(event | said).encode()) == reason


def test_a_stated_scale_must_hold_the_score() -> None:
    answer = {"event_id": "e", "customer_id": "c", "occurred_at": "2026-01-01T00:00:00Z", "instrument": "csat"}
    assert (
        verdict("survey_response", json.dumps(answer | {"score": 6, "scale_min": 1, "scale_max": 5}).encode())
        == Reason.OUT_OF_RANGE
    )
    assert (
        verdict("survey_response", json.dumps(answer | {"score": 3, "scale_min": 5, "scale_max": 1}).encode())
        == Reason.INCONSISTENT
    )


def test_unknown_fields_are_noticed_and_no_error() -> None:
    decoder = Decoder("purchase")
    assert not decoder(purchase(), NOW).unplanned
    assert decoder(purchase(colour="red"), NOW).unplanned
    assert decoder(purchase(lines=[{"category": "books", "shelf": 3}]), NOW).unplanned
    assert decoder(purchase(bindings=[{"kind": "technical", "price": 3}]), NOW).unplanned
    assert not decoder(purchase(bindings=[{"kind": "technical"}], referred_by="c-9"), NOW).unplanned


@pytest.mark.parametrize("field", ["customer_id", "currency", "channel", "amount", "occurred_at"])
def test_the_detail_of_a_rejection_never_quotes_the_value(field: str) -> None:
    with pytest.raises(BadEvent) as caught:
        Decoder("purchase")(purchase(**{field: "SECRET\x01"}), NOW)
    assert "SECRET" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_but_a_bad_event_ever_leaves_the_decoder(value: bytes) -> None:
    for kind in KINDS:
        verdict(kind, value)


@settings(deadline=None)
@given(st.sampled_from([path for path in EXAMPLES if path.parent.name == "valid"]), st.data())
def test_a_damaged_example_is_an_event_or_a_bad_event(example: Path, data: st.DataObject) -> None:
    damaged = bytearray(example.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    verdict(kind_of(example), bytes(damaged))
