"""What only some sources know: which of two statements counts, and values written before there were any."""

from datetime import timedelta

import pytest
from msgspec import json

from pipeline.core.contract.events import Binding, Consent, Event
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.state.customer import STATE_VERSION, decode_named, decode_state, encode_named, encode_state
from pipeline.core.state.profile import Promises, Stated
from tests.core.histories import START, replay
from tests.core.test_fold import bought, contacted

BEFORE = bytes.fromhex(
    "dc001a02a3632d3183a970757263686173657301b0736572766963652d636f6e746163747300a77375727665797300c4207e"
    "566b8fac673f6eb36084f48814f22c08c4b703bbfa5185e64984c3aacf6ede04cf0000019bb9cd540000cf0000019b7c0104"
    "00cf0000019ba533e40002000100cd4fe7c402010181a3455552ce00030d408081a56f746865720281a5626f6f6b73cf0000"
    "019b7c0104000101919fcf0000019bb4a6f800a36b2d31a169cf0000019bb4a6f800a66b2d312d3132a570686f6e65ac6361"
    "6e63656c6c6174696f6ea7756e6b6e6f776ec2cb000000000000000000c2c201c29197cf0000019bb9cd5400a173a36e7073"
    "03000ac081a36e707397cf0000019bb9cd5400a173a36e707303000ac09196a169d920303662336134333863636233313065"
    "3330393838313139326562656665323732a46f70656ea8637269746963616ccf0000019bb4a6f800cf4284cfd39e353ec790"
)
"""A state of version 2 as it was encoded before anything was stated: two purchases, a contact, an answer, an alert."""


def day(number: float) -> int:
    return milliseconds(START + timedelta(days=number))


def stated(*events: Event) -> Stated:
    found = replay(list(events))[0].stated
    assert found is not None
    return found


def test_a_state_written_before_these_facts_existed_is_read_and_goes_on() -> None:
    customer = decode_state(BEFORE)
    assert (customer.version, customer.purchases, len(customer.contacts), len(customer.alerts)) == (
        STATE_VERSION,
        2,
        1,
        1,
    )
    assert customer.stated is None
    assert customer.contacts[0].promises is None
    after = step(customer, bought(3, day=20, programme_member=True), Where("purchases", 2)).customer
    assert after.stated is not None
    assert after.stated.member_purchases == 1
    assert decode_state(encode_state(after)) == after


def test_a_named_state_of_the_warehouse_from_before_is_read() -> None:
    named = json.decode(encode_named(decode_state(BEFORE)))
    del named["stated"]
    assert decode_named(json.encode(named)) == decode_state(BEFORE)


def test_a_customer_of_whom_nothing_is_stated_pays_one_byte() -> None:
    customer, _ = replay([bought(1), bought(2, day=3)])
    assert customer.stated is None
    assert encode_state(customer).endswith(b"\xc0\x00")


CONSENTS: dict[str, tuple[list[tuple[float, Consent]], Consent]] = {
    "nobody asked, the exception holds": ([(1, "existing_customer")], "existing_customer"),
    "the newest word of the customer counts": ([(1, "granted"), (2, "withdrawn"), (3, "granted")], "granted"),
    "a no outlasts a later exception": ([(1, "withdrawn"), (5, "existing_customer")], "withdrawn"),
    "a yes is more than an exception": ([(1, "granted"), (5, "existing_customer")], "granted"),
    "at one moment a no counts before a yes": ([(1, "withdrawn"), (1, "granted")], "withdrawn"),
    "and after it": ([(1, "granted"), (1, "withdrawn")], "withdrawn"),
}


@pytest.mark.parametrize(("said", "counts"), CONSENTS.values(), ids=CONSENTS)
def test_which_consent_counts(said: list[tuple[float, Consent]], counts: Consent) -> None:
    events = [bought(number, day=at, survey_consent=what) for number, (at, what) in enumerate(said)]
    for order in (events, events[::-1]):
        consent = stated(*order).consent
        assert consent is not None
        assert consent.status == counts


def test_consent_has_the_moment_it_was_given_not_that_of_the_event() -> None:
    late = bought(1, day=9, survey_consent="granted", survey_consent_at=START + timedelta(days=2))
    consent = stated(late, bought(2, day=5, survey_consent="withdrawn")).consent
    assert consent is not None
    assert (consent.status, consent.at) == ("withdrawn", day(5))


def test_consent_may_come_with_any_event_also_of_a_prospect() -> None:
    consent = stated(contacted(1, day=3, survey_consent="granted")).consent
    assert consent is not None
    assert consent.status == "granted"


def test_the_newest_binding_of_each_kind_counts() -> None:
    ends = START + timedelta(days=700)
    contract = bought(1, bindings=[Binding(kind="contractual", ends_at=ends), Binding(kind="technical")])
    ended = bought(2, day=9, bindings=[Binding(kind="contractual", ends_at=START + timedelta(days=9))])
    bindings = stated(ended, contract).bindings
    assert {kind: binding.ends_at for kind, binding in bindings.items()} == {"contractual": day(9), "technical": None}


def test_a_refund_may_say_that_a_binding_ended_and_is_no_purchase_of_a_member() -> None:
    contract = bought(1, bindings=[Binding(kind="contractual")], programme_member=True)
    returned = bought(
        2, day=3, amount="-10.00", refund_of="o-1", programme_member=True,
        bindings=[Binding(kind="contractual", ends_at=START + timedelta(days=3))],
    )  # fmt: skip
    found = stated(contract, returned)
    assert (found.bindings["contractual"].ends_at, found.member_purchases) == (day(3), 1)


def test_membership_is_the_newest_word_and_a_referral_the_first() -> None:
    events = [
        bought(1, day=1, programme_member=True, referred_by="c-7"),
        bought(2, day=8, programme_member=False, referred_by="c-9"),
    ]
    for order in (events, events[::-1]):
        found = stated(*order)
        assert found.membership is not None
        assert found.referred_by is not None
        assert (found.membership.member, found.referred_by.customer_id) == (False, "c-7")


DELIVERIES = {"just before": (-1, (1, 0)), "to the millisecond": (0, (1, 0)), "just after": (1, (0, 1))}


@pytest.mark.parametrize(("late_ms", "counts"), DELIVERIES.values(), ids=DELIVERIES)
def test_a_delivery_is_late_after_the_promised_moment(late_ms: int, counts: tuple[int, int]) -> None:
    promised = START + timedelta(days=3)
    delivered = promised + timedelta(milliseconds=late_ms)
    found = stated(bought(1, promised_delivery_at=promised, delivered_at=delivered))
    assert (found.deliveries_on_time, found.deliveries_late) == counts


def test_a_delivery_without_a_promise_or_without_an_end_is_not_judged() -> None:
    found = stated(
        bought(1, delivered_at=START + timedelta(days=3)),
        bought(2, promised_delivery_at=START + timedelta(days=3), programme_member=True),
    )
    assert (found.deliveries_on_time, found.deliveries_late) == (0, 0)


MOVED = {"put off": (4, 6, 4), "brought forward": (6, 4, 4)}


@pytest.mark.parametrize(("promised", "then", "counts"), MOVED.values(), ids=MOVED)
def test_of_a_promise_that_is_moved_the_earliest_moment_counts(promised: int, then: int, counts: int) -> None:
    first = contacted(1, day=2, promised_callback_at=START + timedelta(days=promised))
    moved = contacted(
        1, day=3, opened_at=first.opened_at, promised_callback_at=START + timedelta(days=then),
        called_back_at=START + timedelta(days=3),
    )  # fmt: skip
    for order in ([first, moved], [moved, first]):
        (contact,) = replay(list(order))[0].contacts
        assert contact.promises == Promises(day(counts), day(3))


def test_an_incentive_marks_its_day_unless_the_purchase_was_owed() -> None:
    customer, _ = replay([bought(1, day=2, incentivised=True), bought(2, day=4, incentivised=True, obligated=True)])
    assert customer.stated is not None
    assert (customer.stated.incentives_from, customer.stated.incentives) == (day(2) // 86_400_000, b"\x01")


def test_what_is_stated_stays_bounded() -> None:
    kinds = ("situational", "technical", "contractual", "economic", "emotional")
    events: list[Event] = [
        bought(n, day=n % 300, bindings=[Binding(kind=kind) for kind in kinds], incentivised=True, referred_by=f"r{n}")  # type: ignore[arg-type]
        for n in range(400)
    ]
    customer, _ = replay(events)
    assert len(encode_state(customer)) - len(encode_state(replay([bought(n) for n in range(400)])[0])) < 400
