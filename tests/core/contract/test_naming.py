"""Whom a record names: in every way an id can be written, and nobody whose id only looks alike."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract.naming import may_name, named, names
from pipeline.core.state.suppression import digest_of, names_suppressed
from tests.written import ALL, NAME, NUMBER, OTHERS, Written


@pytest.mark.parametrize(("customer", "record"), [(c, r) for c, _, r in ALL], ids=[way for _, way, _ in ALL])
def test_a_customer_is_named_however_the_id_is_written(customer: str, record: Written) -> None:
    assert names(customer.encode(), *record)
    key, value, headers = record
    assert names_suppressed(key, value, {digest_of(customer.encode())}, headers)
    assert not names_suppressed(key, value, frozenset(), headers)
    assert not names(b"somebody", *record)


@pytest.mark.parametrize("record", OTHERS.values(), ids=OTHERS)
def test_others_are_not_taken_for_a_customer(record: Written) -> None:
    assert not {NUMBER.encode(), NAME.encode()} & named(*record)


def test_a_key_that_is_the_events_own_customer_is_read_in_no_other_way() -> None:
    assert named(b" 4711", b'{"customer_id":" 4711"}') == {b" 4711"}


@pytest.mark.parametrize(
    "value",
    [
        b'"customer_id":"' + b"\\" * 2_000_001,
        b'"customer_id"' * 100_000,
        b'{"customer":{' * 100_000,
        b'"customer_id":["' * 100_000,
        b'"' * 1_000_000,
        b'"customer_id":' + b"9" * 1_000_000,
        b'"customer_id":1e999999999',
        b"customer_id:" * 100_000,
        b'"\\"' * 300_000,
    ],
    ids=["backslashes", "names", "objects", "lists", "quotes", "digits", "an exponent", "loose", "escaped quotes"],
)
def test_twice_as_many_bytes_take_about_twice_as_long(value: bytes) -> None:
    half = min(_seconds(value[: len(value) // 2]) for _ in range(2))
    assert _seconds(value) < 10 * half + 1


def _seconds(value: bytes) -> float:
    started = time.process_time()
    named(None, value)
    return time.process_time() - started


@given(st.text(min_size=1, max_size=20), st.binary(max_size=60), st.booleans())
def test_a_value_that_names_somebody_may_name_them(customer: str, around: bytes, quoted: bool) -> None:
    name = customer.encode("utf-8", "replace")
    value = around + (b'"customer_id":"%b"' if quoted else b"customer_id: %b,") % name
    for found in named(None, value):
        assert may_name(found, value)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_no_bytes_are_too_much(value: bytes, key: bytes) -> None:
    named(key, value, [("customer", value), ("x", key)])
