"""The loyalty state: nothing for prospects, satisfaction apart, incentives apart, nobody asked without consent."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from pipeline.core.contract.events import Binding, BindingKind, Consent, Event, Line, SurveyResponse
from pipeline.core.loyalty.consent import may_survey
from pipeline.core.loyalty.loyalty_policy import Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.loyalty.satisfaction import is_satisfied
from tests.core.histories import CUSTOMER, START, histories, replay
from tests.core.loyalty.test_lifecycle import day
from tests.core.test_fold import bought, contacted

NORMS = Norms(typical_baskets={"EUR": 10.0, "USD": 10.0})
MONTHLY = tuple(range(0, 330, 30))


def said(instrument: str, score: int, at: float, low: int | None = None, high: int | None = None) -> SurveyResponse:
    return SurveyResponse(
        event_id=f"s-{instrument}-{at}", customer_id=CUSTOMER, occurred_at=START + timedelta(days=at),
        instrument=instrument, score=score, scale_min=low, scale_max=high,  # type: ignore[arg-type]
    )  # fmt: skip


def bound(kind: BindingKind, until: float | None, notice: float | None = None) -> Binding:
    moments = (None if at is None else START + timedelta(days=at) for at in (until, notice))
    ends_at, notice_by = moments
    return Binding(kind=kind, ends_at=ends_at, notice_by=notice_by)


def buying(*days: float, **more: Any) -> list[Event]:
    return [bought(number, day=at, **more) for number, at in enumerate(days)]


def state(events: list[Event], at: float, referrals: int = 0) -> Loyalty:
    found = loyalty(replay(events)[0], day(at), NORMS, referrals)
    assert found is not None
    return found


# --- prospects


@given(histories, st.integers(-1, 900))
def test_a_prospect_has_no_loyalty_state_and_everybody_else_has(events: list[Event], at: int) -> None:
    customer = replay(events)[0]
    first = customer.first_purchase_at
    found = loyalty(customer, day(at), NORMS)
    assert (found is None) == (first is None or first > day(at))
    assert json.decode(json.encode(found), type=Loyalty | None) == found


# --- satisfied but at risk


def test_a_satisfied_customer_may_be_at_risk_and_why_is_said() -> None:
    happy = said("csat", 5, 100, 1, 5)
    assert state([*buying(*MONTHLY), happy], 270).satisfaction.satisfied_but_at_risk == []
    silent = state([*buying(0, 30, 60), happy], 270).satisfaction
    assert (silent.satisfaction, silent.satisfied_but_at_risk) == (1.0, ["lapsed"])
    torn = [*buying(*MONTHLY), happy, said("nps", 6, 101), said("repurchase_intent", 2, 102, 1, 5)]
    assert state(torn, 270).satisfaction.satisfied_but_at_risk == ["would not recommend us", "would not buy again"]
    contract: list[Event] = [bought(0, bindings=[bound("contractual", 900)]), happy]
    assert state(contract, 270).satisfaction.satisfied_but_at_risk == ["captive"]
    leaving = [*buying(*MONTHLY[:9]), happy, contacted(1, day=269, kind="cancellation", transfers=2)]
    assert state(leaving, 270).satisfaction.satisfied_but_at_risk == ["open alert"]


def test_the_unsatisfied_are_another_matter() -> None:
    assert state([*buying(0, 30, 60), said("csat", 2, 100, 1, 5)], 270).satisfaction.satisfied_but_at_risk == []


DISAPPROVAL = {"6 is a detractor": (6, ["would not recommend us"]), "7 is none": (7, [])}


@pytest.mark.parametrize(("score", "why"), DISAPPROVAL.values(), ids=DISAPPROVAL)
def test_a_detractor_is_at_risk(score: int, why: list[str]) -> None:
    events = [*buying(*MONTHLY), said("csat", 5, 100, 1, 5), said("nps", score, 101)]
    assert state(events, 270).satisfaction.satisfied_but_at_risk == why


@pytest.mark.parametrize(("score", "why"), [(49, ["would not buy again"]), (50, []), (51, [])])
def test_below_the_middle_of_the_scale_they_would_not_buy_again(score: int, why: list[str]) -> None:
    events = [*buying(*MONTHLY), said("csat", 5, 100, 1, 5), said("repurchase_intent", score, 101, 0, 100)]
    assert state(events, 270).satisfaction.satisfied_but_at_risk == why


SATISFIED: dict[str, tuple[int, float, bool]] = {
    "just below": (74, 0, False),
    "at three quarters": (75, 0, True),
    "above": (76, 0, True),
    "179 days later": (80, 179, True),
    "180 days later": (80, 180, True),
    "just after": (80, 180.001, False),
}


@pytest.mark.parametrize(("score", "later", "satisfied"), SATISFIED.values(), ids=SATISFIED)
def test_satisfied_is_three_quarters_of_the_scale_and_ages(score: int, later: float, satisfied: bool) -> None:
    (answer,) = replay([said("csat", score, 10, 0, 100)])[0].answers
    assert is_satisfied(answer, day(10 + later)) == satisfied


# --- what the purchases say


def test_repurchase_is_told_with_and_without_incentives() -> None:
    events = [
        *buying(0, 10),
        bought(8, day=20, incentivised=True),
        bought(9, day=30, incentivised=True, obligated=True),
    ]
    found = state(events, 40)
    assert (found.rhythm.repeat_occasions, found.incentives.full_price_repeats) == (2, 1)
    assert found.incentives.incentivised_share == 0.5


def test_nothing_but_purchases_is_needed() -> None:
    found = state(buying(*MONTHLY), 320)
    assert (found.programme_member, found.member_share, found.bindings, found.referred_by) == (None, None, [], None)
    assert (found.standing.quadrant, found.lifecycle) == ("regular, not long-standing", "active")


def test_programme_and_referral_are_shown_where_they_are_known() -> None:
    events: list[Event] = [
        bought(1, programme_member=True, referred_by="c-9"),
        bought(2, day=3, programme_member=False),
    ]
    found = state(events, 5, referrals=3)
    assert (found.programme_member, found.member_share, found.referred_by, found.referrals) == (False, 0.5, "c-9", 3)


def test_a_category_of_the_first_purchase_is_no_cross_selling() -> None:
    first, second = ([Line(category=category) for category in categories] for categories in ("ab", "bc"))
    events: list[Event] = [bought(1, lines=first), bought(2, day=2, lines=second)]
    assert [state(events, at).cross_sold for at in (1, 3)] == [0, 1]


def test_what_was_paid_back_is_not_spent() -> None:
    events: list[Event] = [bought(1), bought(2, day=2, amount="-4.00", refund_of="o-1")]
    events.append(bought(3, day=2, amount="-1.00", refund_of="o-0", currency="USD"))
    found = state(events, 9)
    assert (found.net_spent, found.purchases, found.days_since_last_purchase) == ({"EUR": 60_000, "USD": -10_000}, 1, 9)


# --- consent


ASKED: dict[str, tuple[list[Event], float, bool]] = {
    "nobody knows": (buying(0), 9, False),
    "granted": ([bought(1, survey_consent="granted")], 9, True),
    "granted by a prospect": ([contacted(1, day=1, survey_consent="granted")], 9, True),
    "granted, but later": ([bought(1), bought(2, day=9.5, survey_consent="granted")], 9, False),
    "withdrawn": ([bought(1, survey_consent="granted"), bought(2, day=2, survey_consent="withdrawn")], 9, False),
    "an existing customer": ([bought(1, survey_consent="existing_customer")], 9, True),
    "no customer yet": ([contacted(1, day=1, survey_consent="existing_customer")], 9, False),
    "no customer until later": (
        [contacted(1, day=1, survey_consent="existing_customer"), bought(1, day=10)], 9, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "at", "may"), ASKED.values(), ids=ASKED)
def test_nobody_is_asked_without_consent(events: list[Event], at: float, may: bool) -> None:
    assert may_survey(replay(events)[0], day(at)) == may


def test_the_state_says_what_was_agreed() -> None:
    consents: list[Consent] = ["granted", "withdrawn", "existing_customer"]
    for consent in consents:
        assert state([bought(1, survey_consent=consent)], 3).survey_consent == consent
