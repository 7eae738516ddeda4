"""Attachment against binding: what counts as a sign of it, what broken promises take, who is captive until when."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.contract.events import BindingKind, Event
from pipeline.core.loyalty.attachment import InForce, captivity, in_force
from pipeline.core.loyalty.loyalty_state import loyalty
from pipeline.core.loyalty.promises import judged, lost_by, promises
from tests.core.histories import START, histories, replay
from tests.core.loyalty.test_lifecycle import day
from tests.core.loyalty.test_loyalty_state import NORMS, bound, buying, said, state
from tests.core.test_fold import bought, contacted

# --- attachment


PARTS: dict[str, tuple[list[Event], float, tuple[float | None, ...]]] = {
    "a new customer has had no occasion": (buying(0), 20, (None, None, None, None)),
    "who does not come back, shows none": (buying(0), 90, (0.0, None, None, None)),
    "once unprompted": (buying(0, 30), 40, (1 / 3, None, 1.0, None)),
    "twice, once with a coupon": ([*buying(0, 30), bought(9, day=60, incentivised=True)], 70, (1 / 3, None, 0.5, None)),
    "with a coupon only": ([*buying(0), bought(9, day=60, incentivised=True)], 70, (0.0, None, 0.0, None)),
    "just within the year": (buying(0, 30), 30 + 364, (1 / 3, None, 1.0, None)),
    "just after it": (buying(0, 30), 30 + 365, (0.0, None, None, None)),
    "a recommendation": ([*buying(0), said("nps", 9, 5)], 20, (None, 0.9, None, None)),
    "a recommendation of later": ([*buying(0), said("nps", 9, 25)], 20, (None, None, None, None)),
    "ease of CES 2": ([*buying(0), said("ces2", 4, 5)], 20, (None, None, None, 0.5)),
    "ease of CES 1, newer": ([*buying(0), said("ces2", 4, 5), said("ces1", 5, 6)], 20, (None, None, None, 0.0)),
}


@pytest.mark.parametrize(("events", "at", "parts"), PARTS.values(), ids=PARTS)
def test_the_parts_of_attachment(events: list[Event], at: float, parts: tuple[float | None, ...]) -> None:
    found = state(events, at).attachment
    shown = (found.unprompted_repurchase, found.recommendation, found.full_price_share, found.ease)
    assert shown == tuple(None if part is None else pytest.approx(part) for part in parts)
    known = [part for part in parts if part is not None]
    assert found.attachment == (pytest.approx(sum(known) / len(known)) if known else None)


def test_a_referral_counts_where_nothing_was_said() -> None:
    assert state(buying(0), 20, referrals=2).attachment.recommendation == 1.0
    assert state([*buying(0), said("nps", 3, 5)], 20, referrals=2).attachment.recommendation == 0.3


@given(histories, st.integers(0, 900), st.integers(0, 400), st.integers(1, 7))
def test_satisfaction_is_never_part_of_attachment(events: list[Event], at: int, asked: int, score: int) -> None:
    assume(not replay(events)[0].is_prospect)
    answered = [*events, said("csat", score, asked, 1, 7)]
    now = day(at + 402)
    before, after = (loyalty(replay(known)[0], now, NORMS) for known in (events, answered))
    assert before is not None
    assert after is not None
    assert (before.attachment, before.lifecycle, before.captivity) == (
        after.attachment,
        after.lifecycle,
        after.captivity,
    )


@given(histories, st.integers(1, 400), st.integers(403, 900))
def test_a_purchase_under_obligation_is_no_evidence_of_repurchase(events: list[Event], on: int, at: int) -> None:
    customer = replay(events)[0]
    assume(customer.first_purchase_at is not None)
    owed = bought(99, day=on, obligated=True)
    before, after = (loyalty(replay(known)[0], day(at), NORMS) for known in (events, [*events, owed]))
    assert before is not None
    assert after is not None
    assert after.rhythm.repeat_occasions == before.rhythm.repeat_occasions
    assert after.incentives.full_price_repeats == before.incentives.full_price_repeats
    assert (after.attachment.attachment or 0) <= (before.attachment.attachment or 0)


# --- promises


@given(histories, st.integers(0, 900), st.integers(-48, 48))
def test_a_promise_that_is_late_lowers_and_one_on_time_does_not_raise(events: list[Event], at: int, late: int) -> None:
    promised = START + timedelta(days=3)
    purchase = bought(99, day=2)
    with_promise = bought(99, day=2, promised_delivery_at=promised, delivered_at=promised + timedelta(hours=late))
    before, after = state([*events, purchase], 402 + at), state([*events, with_promise], 402 + at)
    one, other = before.attachment.attachment, after.attachment.attachment
    if one is None or late <= 0:
        assert other == one
    else:
        assert other is not None
        assert (
            other == pytest.approx(max(0.0, one - min(0.1, 0.3 - lost_by(before.promises.broken))), abs=1e-9)
            or one == 0
        )


VERDICTS: dict[str, tuple[int, int | None, int | None, int, str]] = {
    "done just before": (100, 99, None, 500, "kept"),
    "done to the millisecond": (100, 100, None, 500, "kept"),
    "done just after": (100, 101, None, 500, "late"),
    "not due yet": (100, None, None, 99, "open"),
    "due now": (100, None, None, 100, "open"),
    "overdue": (100, None, None, 101, "missed"),
    "done only later than now": (100, 300, None, 200, "missed"),
    "settled before it was due": (100, None, 100, 500, "needless"),
    "settled after it was due": (100, None, 101, 500, "missed"),
    "settled later than now": (100, None, 60, 50, "open"),
}


@pytest.mark.parametrize(("promised", "done", "solved", "now", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_how_a_promise_stands(promised: int, done: int | None, solved: int | None, now: int, verdict: str) -> None:
    assert judged(promised, done, solved, now) == verdict


def test_promises_are_counted_over_contacts_and_deliveries() -> None:
    def moment(at: float) -> Any:
        return START + timedelta(days=at)

    events: list[Event] = [
        bought(1, promised_delivery_at=moment(2), delivered_at=moment(3)),
        bought(2, promised_delivery_at=moment(2), delivered_at=moment(1)),
        contacted(1, day=4, promised_callback_at=moment(5), called_back_at=moment(4)),
        contacted(2, day=4, promised_callback_at=moment(5), promised_answer_at=moment(60)),
        contacted(3, day=4),
    ]
    found = promises(replay(events)[0], day(50))
    assert (found.promises_kept, found.promises_late, found.promises_missed, found.promises_open) == (2, 1, 1, 1)
    assert found.broken == 2


@pytest.mark.parametrize(("broken", "lost"), [(0, 0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.3), (1_000, 0.3)])
def test_what_broken_promises_take_is_bounded(broken: int, lost: float) -> None:
    assert lost_by(broken) == pytest.approx(lost)


# --- binding


ENDS: dict[str, tuple[int, int]] = {"just before the end": (-1, 1), "at the end": (0, 0), "just after": (1, 0)}


@pytest.mark.parametrize(("offset_ms", "in_force_then"), ENDS.values(), ids=ENDS)
def test_a_binding_holds_until_its_end(offset_ms: int, in_force_then: int) -> None:
    customer, _ = replay([bought(1, bindings=[bound("contractual", 90)])])
    assert len(in_force(customer, day(90) + offset_ms)) == in_force_then


def test_a_binding_without_an_end_holds_and_none_holds_before_it_was_said() -> None:
    customer, _ = replay([bought(1, day=5, bindings=[bound("technical", None)])])
    assert [len(in_force(customer, day(at))) for at in (4, 5, 9_999)] == [0, 1, 1]


LOW: dict[str, tuple[float | None, bool]] = {
    "nothing known": (None, False),
    "just below": (0.3999, True),
    "at": (0.4, False),
    "above": (0.4001, False),
}


@pytest.mark.parametrize(("value", "captive"), LOW.values(), ids=LOW)
def test_captive_is_bound_with_low_attachment(value: float | None, captive: bool) -> None:
    held = [InForce("contractual", day(90), day(60))]
    assert captivity(held, value, day(0)).captive == captive
    assert not captivity([], value, day(0)).captive


@pytest.mark.parametrize("kind", ["contractual", "technical", "economic", "situational"])
def test_every_kind_but_conviction_makes_captive(kind: BindingKind) -> None:
    assert captivity([InForce(kind, None, None)], 0.1, day(0)).captive
    assert not captivity([InForce("emotional", None, None)], 0.1, day(0)).captive


def test_a_captive_is_released_when_the_last_binding_ends_and_may_give_notice_before() -> None:
    held = [InForce("contractual", day(90), day(60)), InForce("technical", day(120), None)]
    assert (captivity(held, 0.1, day(0)).released_at, captivity(held, 0.1, day(0)).next_notice_by) == (
        day(120),
        day(60),
    )
    assert captivity(held, 0.1, day(60)).next_notice_by == day(60)
    assert captivity(held, 0.1, day(61)).next_notice_by is None
    assert captivity([*held, InForce("economic", None, None)], 0.1, day(0)).released_at is None


def test_a_contract_customer_who_shows_no_attachment_is_captive_until_the_contract_ends() -> None:
    events: list[Event] = [bought(0, bindings=[bound("contractual", 365, 275)])]
    events += [bought(number, day=30 * number, obligated=True) for number in range(1, 12)]
    found = state(events, 200)
    assert (found.lifecycle, found.attachment.attachment, found.captivity.captive) == ("active", 0.0, True)
    assert (found.captivity.released_at, found.captivity.next_notice_by) == (day(365), day(275))
    assert not state(events, 365).captivity.captive
    assert not state(events, 20).captivity.captive, "a new customer has had no occasion to show any"
    assert not state([*events, said("nps", 9, 150)], 200).captivity.captive, "who recommends us is no captive"
    assert state([*events, said("csat", 5, 150, 1, 5)], 200).captivity.captive, "satisfaction does not free anybody"
