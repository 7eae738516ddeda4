"""Rhythm and lifecycle: by the customer's own gaps, and borne out by what real customers did next."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract.events import Event
from pipeline.core.contract.moments import milliseconds
from pipeline.core.loyalty.lifecycle import Lifecycle, Rhythm, incentive_days, lifecycle, rhythm, within_a_year
from pipeline.core.loyalty.loyalty_policy import Norms
from pipeline.core.state.customer import DAY_MS, Customer, with_occasion
from pipeline.simulate import cdnow
from tests.core.histories import START, histories, replay
from tests.core.test_fold import bought

NORMS = Norms(usual_gap_days=34)


def day(number: float) -> int:
    return milliseconds(START + timedelta(days=number))


def buyer(*days: float, **more: Any) -> Customer:
    events: list[Event] = [bought(number, day=at, **more) for number, at in enumerate(days)]
    return replay(events)[0]


def phase(customer: Customer, at: float, *, under_contract: bool = False) -> Lifecycle:
    return lifecycle(rhythm(customer, day(at), NORMS), under_contract, NORMS)


PHASES: dict[str, tuple[tuple[float, ...], float, Lifecycle]] = {
    "before the first purchase": ((10,), 9.9, "prospect"),
    "on its day": ((10,), 10, "new"),
    "once, just before 2 usual gaps": ((0,), 67, "new"),
    "once, at 2 usual gaps": ((0,), 68, "at rest"),
    "once, just after": ((0,), 69, "at rest"),
    "once, just before 4 usual gaps": ((0,), 135, "at rest"),
    "once, at 4 usual gaps": ((0,), 136, "lapsed"),
    "once, just after that": ((0,), 137, "lapsed"),
    # 4 gaps of 9.5 days and the usual one: (34 + 38) / 5 = 14.4 days
    "every week or so, just before 2 own gaps": ((0, 7, 16, 27, 38), 38 + 28, "active"),
    "every week or so, just after": ((0, 7, 16, 27, 38), 38 + 29, "at rest"),
    "every week or so, just before 4 own gaps": ((0, 7, 16, 27, 38), 38 + 57, "at rest"),
    "every week or so, just after that": ((0, 7, 16, 27, 38), 38 + 58, "lapsed"),
    # 3 gaps of 122 days and the usual one: (34 + 366) / 4 = 100 days
    "three times a year, silent for as long": ((0, 122, 244, 366), 366 + 58, "active"),
    "three times a year, just before 2 own gaps": ((0, 122, 244, 366), 366 + 199, "active"),
    "three times a year, at 2 own gaps": ((0, 122, 244, 366), 366 + 200, "at rest"),
    "three times a year, at 4 own gaps": ((0, 122, 244, 366), 366 + 400, "lapsed"),
}


@pytest.mark.parametrize(("days", "at", "expected"), PHASES.values(), ids=PHASES)
def test_lifecycle_goes_by_the_customers_own_rhythm(days: tuple[float, ...], at: float, expected: Lifecycle) -> None:
    assert phase(buyer(*days), at) == expected


def test_under_a_contract_silence_says_nothing() -> None:
    assert [phase(buyer(0), at, under_contract=True) for at in (67, 68, 4_000)] == ["new", "active", "active"]


def test_purchases_under_obligation_are_no_rhythm() -> None:
    owed = buyer(*range(0, 300, 30), obligated=True)
    assert rhythm(owed, day(300), NORMS) == Rhythm(0, 0, 300, 34)
    assert phase(owed, 300) == "lapsed"


def test_a_moment_in_the_past_is_seen_without_what_came_later() -> None:
    customer = buyer(0, 10, 20, 300)
    assert rhythm(customer, day(25), NORMS) == rhythm(buyer(0, 10, 20), day(25), NORMS)


@given(histories, st.integers(-5, 900))
def test_the_gap_lies_between_the_usual_one_and_the_customers_own(events: list[Event], at: int) -> None:
    found = rhythm(replay(events)[0], day(at), NORMS)
    if found is not None and found.repeat_occasions:
        own = found.recency_days / found.repeat_occasions
        assert min(34, own) <= found.own_gap_days <= max(34, own)
        assert found.silence_days >= 0


@given(histories, st.integers(0, 900), st.integers(0, 900))
def test_silence_only_ever_ages_a_customer(events: list[Event], one: int, other: int) -> None:
    customer = replay(events)[0]
    order: list[Lifecycle] = ["prospect", "new", "active", "at rest", "lapsed"]
    after = [402 + at for at in sorted((one, other))]
    earlier, later = (order.index(phase(customer, at)) for at in after)
    assert earlier <= later


def test_days_within_a_year_are_365() -> None:
    customer = buyer(0, 1, 2, 364, 365, 366)
    bits = int.from_bytes(customer.occasions, "little")
    assert [within_a_year(customer, bits, day(at)).bit_count() for at in (364, 365, 366, 367)] == [6, 5, 4, 3]


def test_days_with_an_incentive_stand_beside_the_occasions() -> None:
    customer, _ = replay([bought(1, day=2), bought(2, day=9, incentivised=True), bought(3, day=12)])
    assert incentive_days(customer) == 1 << 7
    assert incentive_days(buyer(0)) == 0


@pytest.mark.parametrize("ends", ["19970630", "19970930", "19971231"])
def test_what_cdnow_customers_did_next_bears_the_phases_out(ends: str) -> None:
    """Of those at rest fewer came back within 180 days than of the active, of the lapsed fewer still."""
    end = _day(ends)
    bought_on: dict[str, set[int]] = {}
    for row in cdnow.rows():
        bought_on.setdefault(row.customer, set()).add(_day(row.date))
    customers, returned = Counter[str](), Counter[str]()
    for name, days in bought_on.items():
        customer = Customer(customer_id=name, first_purchase_at=min(days) * DAY_MS)
        for bought_day in days:
            with_occasion(customer, bought_day)
        found = lifecycle(rhythm(customer, end * DAY_MS))
        customers[found] += 1
        returned[found] += any(end < bought_day <= end + 180 for bought_day in days)
    share = {found: returned[found] / customers[found] for found in customers}
    assert share.keys() == {"active", "at rest", "lapsed"}, "all bought first in the first quarter"
    assert share["active"] > share["at rest"] > share["lapsed"]


def _day(date: str) -> int:
    return int(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).timestamp()) // 86_400


SENSELESS: dict[str, dict[str, object]] = {
    "usual_gap_days": {"usual_gap_days": 0},
    "usual_gap_weight": {"usual_gap_weight": -1},
    "half_repurchase": {"half_repurchase": float("nan")},
    "typical_baskets[EUR]": {"typical_baskets": {"EUR": float("inf")}},
    "lapse_at_gaps": {"rest_at_gaps": 4},
}


@pytest.mark.parametrize(("named", "figures"), SENSELESS.items(), ids=SENSELESS)
def test_figures_that_make_no_sense_are_refused_by_name(named: str, figures: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=named.replace("[", r"\[")):
        Norms(**figures)  # type: ignore[arg-type]
