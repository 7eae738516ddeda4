"""The same event twice counts once, however long ago: marks in the state, and in the pieces that leave it."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract.decode import EVENTS, Decoder
from pipeline.core.contract.events import Event, Purchase, SurveyResponse
from pipeline.core.fold import apply
from pipeline.core.state.customer import MARK_BYTES, RECENT_IDS, Customer, decode_state, encode_state
from pipeline.core.state.marks import (
    BUCKET_MARKS,
    OWN,
    TOPIC_OF,
    Older,
    customer_of,
    entries,
    is_piece,
    is_readable,
    merged,
    moved_of,
    piece_of,
)
from pipeline.errors import BadEvent
from pipeline.topics import INPUTS

BEFORE = bytes.fromhex(
    "dc001c02a3632d3181a970757263686173657302c418e7fa09ff450555eb317386494bf10d9f0706c581494c583e03cf0000019b76daa8"
    "0000cf0000019b76daa800cf0000019b76daa80003000000cd4fe6c4010181a3455552cd75308081a56f74686572038000009090809090"
    "00c0"
)
"""A state of 0.4.0 after the purchases e-0, e-1 and e-2, at the offsets 0 to 2."""
START = datetime(2026, 1, 1, tzinfo=UTC)
TODAY_BYTES = RECENT_IDS * MARK_BYTES


def bought(name: object) -> Purchase:
    return Purchase(
        event_id=f"e-{name}", customer_id="c-1", occurred_at=START, order_id="o", amount="1", currency="EUR"
    )


def answered(name: object) -> SurveyResponse:
    return SurveyResponse(event_id=f"e-{name}", customer_id="c-1", occurred_at=START, instrument="nps", score=9)


def fold(customer: Customer, events: list[Event], older: Older | None, first: int = 0) -> int:
    """Fold events of one topic; returns how many were duplicates."""
    return sum(apply(customer, event, "purchases", first + n, older)[3] for n, event in enumerate(events))


def test_every_input_has_a_code_of_its_own() -> None:
    assert list(TOPIC_OF.values()) == [topic.name for topic in INPUTS]
    kinds = [EVENTS[topic.kind] for topic in INPUTS if topic.kind]
    assert [kind.topic_code for kind in kinds] == [bytes((code,)) for code in TOPIC_OF]


@pytest.mark.parametrize("character", ["\\u0000", "\x00"])
def test_no_customer_has_an_id_that_begins_like_a_piece(character: str) -> None:
    value = msgspec.json.encode(bought(1)).replace(b"c-1", character.encode() + b"c-1")
    with pytest.raises(BadEvent):
        Decoder("purchase").read(value, 1_800_000_000_000)


@pytest.mark.parametrize("count", [RECENT_IDS - 1, RECENT_IDS, 1_000, 6_000])
def test_an_event_is_recognised_after_any_number_of_others(count: int) -> None:
    customer, older, events = Customer(customer_id="c-1"), Older(), [bought(n) for n in range(count)]
    assert fold(customer, list(events), older) == 0
    assert fold(customer, list(reversed(events)), older, count) == count
    assert (customer.purchases, customer.events, customer.applied) == (count, count, {"purchases": 2 * count - 1})


def test_the_same_id_in_two_topics_is_two_events() -> None:
    customer, older = Customer(customer_id="c-1"), Older()
    for n in range(300):
        assert not apply(customer, bought(n), "purchases", n, older)[3]
        assert not apply(customer, answered(n), "surveys", n, older)[3]
    for n in range(300):
        assert apply(customer, bought(n), "purchases", 300 + n, older)[3]
        assert apply(customer, answered(n), "surveys", 300 + n, older)[3]
    assert (customer.purchases, customer.survey_answers) == (300, 300)


def test_who_has_few_events_has_no_piece() -> None:
    customer, older = Customer(customer_id="c-1"), Older()
    fold(customer, [bought(n) for n in range(RECENT_IDS - 1)], older)
    assert (older.changed, customer.moved, len(customer.recent)) == ({}, 0, TODAY_BYTES - MARK_BYTES)


def test_a_hot_customer_is_bounded_and_their_pieces_are_small_and_written_seldom() -> None:
    """100,000 events, each twice."""
    customer, pieces, written, count = Customer(customer_id="c-1"), dict[bytes, bytes](), 0, 100_000
    for again in range(2):
        for first in range(0, count, 500):
            older = Older(pieces.get)
            events: list[Event] = [bought(n) for n in range(first, first + 500)]
            assert fold(customer, events, older, again * count + first) == 500 * again
            assert len(customer.recent) < TODAY_BYTES
            if again == 0:
                written += sum(map(len, older.changed.values()))
            pieces.update(older.changed)
            customer = decode_state(encode_state(customer))
            if first in (500, count - 500):
                assert len(encode_state(customer)) < len(encode_state(_as_before(customer)))
    assert customer.purchases == count
    assert max(map(len, pieces.values())) < 2 * BUCKET_MARKS * 16
    assert sum(map(len, pieces.values())) == moved_of(customer) * 16
    assert written / count < 1_500


def _as_before(customer: Customer) -> Customer:
    """The state as 0.4 kept it after many events."""
    return Customer(**{name: getattr(customer, name) for name in customer.__struct_fields__ if name != "recent"},
                    recent=bytes(TODAY_BYTES))  # fmt: skip


def test_a_piece_that_is_ahead_of_the_state_hides_no_event() -> None:
    events: list[Event] = [bought(n) for n in range(400)]
    lost, pieces = Customer(customer_id="c-1"), Older()
    fold(lost, events, pieces)
    assert moved_of(lost) > 0
    again = Customer(customer_id="c-1")
    assert fold(again, events, pieces) == 0
    assert (again.purchases, again.recent, again.moved) == (400, lost.recent, lost.moved)
    assert fold(again, events, pieces, 400) == 400


def test_bounds_of_a_lost_state_become_those_of_the_one_that_lives() -> None:
    """Another cut: what moved later in the lost state moves earlier in this one."""
    lost, pieces = Customer(customer_id="c-1"), Older()
    fold(lost, [bought(n) for n in range(RECENT_IDS - 1)], pieces)
    lost.applied["purchases"] = 999  # duplicates came, then one more event
    apply(lost, bought("last"), "purchases", 1_000, pieces)
    again = Customer(customer_id="c-1")
    fold(again, [bought(n) for n in range(RECENT_IDS)], pieces)
    assert {bound for piece in pieces.changed.values() for _, bound in entries(piece)} == {RECENT_IDS}
    assert apply(again, bought(0), "purchases", RECENT_IDS, pieces)[3]


keys = st.binary(min_size=8, max_size=8)
versions = st.dictionaries(keys, st.integers(0, 2**62), max_size=6).map(piece_of)


@given(versions, versions)
def test_two_versions_of_a_piece_come_to_what_either_holds(one: bytes, other: bytes) -> None:
    both = dict(entries(merged(one, other)))
    first, second = dict(entries(one)), dict(entries(other))
    assert both.keys() == first.keys() | second.keys()
    for marked, bound in both.items():
        assert bound == min(first.get(marked, bound), second.get(marked, bound))
    assert dict(entries(merged(other, one))) == both
    assert merged(one, merged(one, other)) == merged(one, other)


def test_a_piece_names_its_customer_and_nobody_has_an_id_like_its_key() -> None:
    customer, older = Customer(customer_id="c-ü"), Older()
    fold(customer, [bought(n) for n in range(2_000)], older)
    assert {customer_of(key) for key in older.changed} == {"c-ü".encode()}
    assert all(is_piece(key) and key.startswith(OWN) and is_readable(older.changed[key]) for key in older.changed)
    assert not any(map(is_piece, (b"c-1", OWN, OWN + b"superseded", OWN + b"\x01\x00\x00\x00\x00\x00", b"")))


def test_marks_of_before_topics_are_recognised_and_stay() -> None:
    state = BEFORE
    for more in (0, 1, 200, 3_000):
        customer, older = decode_state(state), Older()
        last = customer.applied["purchases"]
        fold(customer, [bought(f"new-{n}") for n in range(more)], older, last + 1)
        count = customer.purchases
        assert fold(customer, [bought(n) for n in range(3)], older, last + 1 + more) == 3
        assert fold(customer, [bought(f"new-{n}") for n in range(more)], older, last + 4 + more) == more
        assert customer.purchases == count
        assert (customer.moved < 0, moved_of(customer) > 0) == (True, more >= 200)
