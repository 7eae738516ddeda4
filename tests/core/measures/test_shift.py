"""Less or more loyal after a contact: every boundary, and what comes out where the truth is known."""

import random
from math import inf
from typing import Any

import pytest

from pipeline.core.measures.shift import (
    DEFAULT,
    DEFINITIONS,
    PUBLISHED,
    Ratio,
    Shift,
    ShiftPolicy,
    ShiftTotals,
    counted_contact,
    ratio_of,
    shift_after,
    sign_of,
)
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, with_occasion

CONTACT_DAY = 1_000
LATER = (CONTACT_DAY + 91) * DAY_MS
"""The first moment at which the window after the contact is over."""


def contact(day: float, **said: Any) -> Contact:
    fields: dict[str, Any] = {
        "opened_at": int(day * DAY_MS), "contact_id": f"k-{day}", "issue_id": "i", "last_at": int(day * DAY_MS),
        "last_event": "e", "channel": "phone", "kind": "complaint", "origin": "delivery", "resolved": True,
        "waiting_seconds": 0.0, "transfers": 0, "information_repeated": False, "self_service_first": False, "events": 1,
        "synthetic": False,
    }  # fmt: skip
    return Contact(**(fields | said))


def customer(
    bought: list[int], contacts: list[Contact] | None = None, recommends: list[tuple[float, int]] | None = None
) -> Customer:
    """Voluntary purchases on days, contacts (one on the contact day when none is named), and NPS answers."""
    made = Customer(
        customer_id="c",
        first_purchase_at=min(bought) * DAY_MS if bought else None,
        contacts=[contact(CONTACT_DAY + 0.5)] if contacts is None else contacts,
        answers=[Answer(int(day * DAY_MS), f"a-{day}", "nps", score, 0, 10) for day, score in recommends or []],
    )
    for day in bought:
        with_occasion(made, day)
    return made


def shift(known: Customer, at: int = LATER) -> Shift:
    found = counted_contact(known, 0, at)
    assert found is not None
    return shift_after(known, found, at)


# --- purchases

BEFORE = [500, 940, 950, 990]
"""First known, two days in the window before the last, and the last before the contact."""


@pytest.mark.parametrize(
    ("before", "after", "sign"),
    [
        (0, 0, None), (1, 0, "less"), (0, 1, "more"), (1, 1, "same"), (2, 1, "less"), (1, 2, "more"), (3, 2, "same"),
        (2, 3, "same"), (3, 1, "less"), (1, 3, "more"), (4, 2, "less"), (4, 3, "same"), (5, 3, "same"), (5, 2, "less"),
    ],
)  # fmt: skip
def test_half_is_less_and_twice_is_more(before: int, after: int, sign: str | None) -> None:
    assert sign_of(before, after) == sign


@pytest.mark.parametrize(
    ("bought_after", "outcome"),
    [([], "less"), ([1_001], "less"), ([1_001, 1_090], "same"), ([1_001, 1_091], "less"),
     ([1_001, 1_020, 1_040, 1_090], "more"), ([1_001, 1_020, 1_040, 1_091], "same")],
)  # fmt: skip
def test_the_window_after_is_the_ninety_days_that_follow_the_day_of_the_contact(
    bought_after: list[int], outcome: str
) -> None:
    """Two days before; a purchase on day 90 counts, one on day 91 does not."""
    assert shift(customer(BEFORE + bought_after)).outcome == outcome


@pytest.mark.parametrize(
    ("bought", "purchases"),
    [
        ([500, 900, 990], "less"),  # day 900 is the first of the 90 before day 990
        ([500, 899, 990], None),  # day 899 is not, and nothing and nothing says nothing
        ([500, 950, 1_000], "less"),  # bought on the day of the contact: the last purchase, left out itself
        ([899, 950, 990], "less"),  # known before the window: 899 < 990 - 90
        ([900, 950, 990], None),  # not yet a customer when the window begins
        ([990], None),
        ([1_020, 1_050], None),
    ],
)
def test_the_window_before_ends_with_the_last_purchase_and_leaves_it_out(
    bought: list[int], purchases: str | None
) -> None:
    known = customer(bought)
    known.first_purchase_at = 0  # of something under obligation, which is no occasion
    assert shift(known).purchases == purchases


@pytest.mark.parametrize(("at", "outcome"), [(LATER - 1, "window open"), (LATER, "more")])
def test_nothing_is_decided_while_the_window_is_open_however_clear_it_seems(at: int, outcome: str) -> None:
    known = customer([*BEFORE, 1_001, 1_002, 1_003, 1_004], recommends=[(990, 2), (1_003, 10)])
    assert shift(known, at).outcome == outcome


# --- recommendation


@pytest.mark.parametrize(
    ("said", "recommendation"),
    [
        ([(990, 9), (1_010, 8)], "less"),
        ([(990, 8), (1_010, 9)], "more"),
        ([(990, 0), (1_010, 6)], "same"),
        ([(990, 6), (1_010, 7)], "more"),
        ([(990, 9)], None),
        ([(1_010, 9)], None),
        ([(990, 3), (995, 10), (1_010, 10)], "same"),  # the last before
        ([(990, 10), (1_010, 10), (1_020, 3)], "less"),  # the last within the window
        ([(1_000.5, 10), (1_001, 3)], "less"),  # at the moment of the contact is before
        ([(990, 10), (1_090.999, 3)], "less"),
        ([(990, 10), (1_091, 3)], None),  # after the window
        ([(635.6, 10), (1_010, 3)], "less"),
        ([(635.5, 10), (1_010, 3)], None),  # a year old
    ],
)
def test_recommendation_is_compared_by_class(said: list[tuple[float, int]], recommendation: str | None) -> None:
    assert shift(customer([500], recommends=said)).recommendation == recommendation


@pytest.mark.parametrize(("before", "after"), [("csat", "csat"), ("ces2", "ces2"), ("csat", "nps"), ("nps", "csat")])
def test_satisfaction_and_ease_are_not_asked(before: str, after: str) -> None:
    known = customer([500])
    known.answers = [Answer(990 * DAY_MS, "a", before, 7, 0, 10), Answer(1_010 * DAY_MS, "b", after, 1, 0, 10)]
    assert shift(known).outcome == "nothing to compare"


# --- together


@pytest.mark.parametrize(
    ("bought_after", "said", "outcome"),
    [
        ([], [(990, 9), (1_010, 3)], "less"),
        ([], [(990, 9), (1_010, 10)], "less"),
        ([1_001, 1_002], [(990, 9), (1_010, 3)], "less"),
        ([1_001, 1_002], [(990, 9), (1_010, 10)], "same"),
        ([1_001, 1_002], [(990, 3), (1_010, 10)], "more"),
        ([], [(990, 3), (1_010, 10)], "contradictory"),
        ([1_001, 1_002, 1_003, 1_004], [(990, 10), (1_010, 3)], "contradictory"),
    ],
)
def test_one_sign_is_enough_and_two_that_contradict_decide_nothing(
    bought_after: list[int], said: list[tuple[float, int]], outcome: str
) -> None:
    assert shift(customer(BEFORE + bought_after, recommends=said)).outcome == outcome


# --- which contact counts


def counted(known: Customer, since: int = 0, at: int = LATER) -> str | None:
    found = counted_contact(known, since, at)
    return None if found is None else found.contact_id


def test_a_customer_counts_once_by_a_contact_drawn_from_those_that_are_over() -> None:
    several = [contact(1_000 + 10 * number) for number in range(9)]
    known = customer([500], several)
    drawn = counted(known, at=3_000 * DAY_MS)
    assert drawn == counted(known, at=4_000 * DAY_MS)
    closed_first = counted(known, at=LATER)
    assert closed_first == "k-1000"
    assert counted(known, at=LATER - 1) == "k-1000"
    assert shift(known, LATER - 1).outcome == "window open"


def test_the_draw_favours_no_place_among_the_contacts() -> None:
    """Among five contacts each place is drawn equally often: 2,000 customers, 400 each, four standard errors."""
    places = [0] * 5
    for number in range(2_000):
        several = [contact(1_000 + place, contact_id=f"c-{number}-{place}") for place in range(5)]
        found = counted(customer([500], several), at=3_000 * DAY_MS)
        places[[c.contact_id for c in several].index(str(found))] += 1
    assert all(abs(count - 400) < 4 * (2_000 * 0.2 * 0.8) ** 0.5 for count in places)


def test_the_period_is_from_since_up_to_at() -> None:
    known = customer([500])
    opened = known.contacts[0].opened_at
    assert counted(known, since=opened) is not None
    assert counted(known, since=opened + 1) is None
    assert counted(known, at=opened) is not None
    assert counted(known, at=opened - 1) is None


def test_a_prospect_has_no_loyalty_to_lose() -> None:
    assert counted(customer([])) is None
    assert counted(customer([1_001])) is None
    assert counted(customer([1_000])) is not None


# --- the ratio


def test_the_ratio_has_the_interval_of_its_share() -> None:
    """80 of 100: Clopper & Pearson 0.7082 … 0.8733 (any table), so 2.43 … 6.89 to one."""
    found = ratio_of(80, 20)
    assert found is not None
    assert found.n == 100
    assert found.value == pytest.approx(4)
    assert found.low == pytest.approx(0.7082 / 0.2918, abs=0.005)
    assert found.high == pytest.approx(0.8733 / 0.1267, abs=0.01)


def test_nobody_and_nobody_more_loyal() -> None:
    assert ratio_of(0, 0) is None
    only_less, only_more = ratio_of(5, 0), ratio_of(0, 5)
    assert only_less is not None
    assert only_more is not None
    assert (only_less.value, only_less.high) == (inf, inf)
    assert 0.5 < only_less.low < 1
    assert (only_more.value, only_more.low) == (0, 0)


@pytest.mark.parametrize(("less", "more"), [(0.4, 0.1), (0.1, 0.1), (0.02, 0.3), (0.05, 0.0125)])
def test_the_interval_of_the_ratio_holds_the_truth_as_often_as_it_says(less: float, more: float) -> None:
    """1,500 firms of 120 customers each; customers who stayed the same are drawn as well. At least 95 %, less luck."""
    source, held, asked = random.Random(4), 0, 0
    for _ in range(1_500):
        drawn = [source.random() for _ in range(120)]
        found = ratio_of(sum(d < less for d in drawn), sum(less <= d < less + more for d in drawn))
        if found is not None:
            asked += 1
            held += found.low <= less / more <= found.high
    assert asked > 1_400
    assert held / asked >= 0.95 - 3 * (0.05 * 0.95 / asked) ** 0.5


def firm(seed: int, customers: int, *, left: float = 1.0, most_calls: int = 100) -> Ratio:
    """Customers who buy at random, each at a rate of their own, and after 3 of 10 purchases call within two days.

    From the first call on ``left`` of their rate is left.
    """
    source, balance = random.Random(seed), ShiftTotals()
    for number in range(customers):
        rate = source.gammavariate(2, 1 / 60)
        bought: list[int] = []
        contacts: list[Contact] = []
        for day in range(1_400):
            if source.random() < rate * (left if contacts else 1):
                bought.append(day)
                if len(contacts) < most_calls and source.random() < 0.3:
                    called = day + source.randrange(3) + 0.5
                    contacts.append(contact(called, contact_id=f"{number}-{day}"))
        if bought:
            balance.add(customer(bought, contacts), 0, 1_400 * DAY_MS)
    return balance.result()


def test_contacts_that_change_nothing_come_out_as_one_to_one() -> None:
    """Contacts follow purchases here, as they do in life: a window that counts that purchase, or the customer's first
    contact instead of a drawn one, finds a change where there is none."""
    found = firm(1, 6_000)
    assert found.ratio is not None
    assert found.ratio.n > 2_000
    assert found.ratio.low < 1 < found.ratio.high
    assert found.ratio.high / found.ratio.low < 1.2


def test_a_planted_loss_and_a_planted_gain_are_found() -> None:
    lost, gained = firm(2, 1_500, left=0.3, most_calls=1), firm(3, 1_500, left=3, most_calls=1)
    assert lost.ratio is not None
    assert gained.ratio is not None
    assert lost.ratio.low > 2
    assert gained.ratio.high < 0.5


def test_the_definitions_state_the_windows_of_the_policy() -> None:
    meanings = {definition.name: definition.meaning for definition in DEFINITIONS}
    for name in ("less_loyal", "more_loyal"):
        assert f"n the {DEFAULT.window_days} days after" in meanings[name]


@pytest.mark.parametrize("broken", [{"window_days": 0}, {"answer_days": -1}])
def test_a_window_without_a_day_is_refused(broken: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        ShiftPolicy(**broken)  # type: ignore[arg-type]


def test_the_balance_says_how_many_and_why_not() -> None:
    balance = ShiftTotals()
    for known in (
        customer(BEFORE),
        customer(BEFORE, recommends=[(990, 9), (1_010, 3)]),
        customer([*BEFORE, 1_001, 1_002, 1_003, 1_004]),
        customer([*BEFORE, 1_001, 1_002]),
        customer(BEFORE, recommends=[(990, 3), (1_010, 9)]),
        customer([500]),
        customer(BEFORE, [contact(CONTACT_DAY + 1, synthetic=True)]),
        customer([]),
    ):
        balance.add(known, 0, LATER)
    found = balance.result()
    assert (found.customers, found.less, found.same, found.more, found.synthetic) == (7, 2, 1, 1, 1)
    assert found.undecided == {"window open": 1, "nothing to compare": 1, "contradictory": 1}
    assert found.by_signal["purchases"] == {"less": 3, "same": 1, "more": 1}
    assert found.by_signal["recommendation"] == {"less": 1, "same": 0, "more": 1}
    assert found.ratio == ratio_of(2, 1)


@pytest.mark.parametrize(
    ("less", "more", "against"),
    [
        (400, 50, "above 4 : 1"),
        (45, 10, "no different from 4 : 1"),
        (35, 10, "no different from 4 : 1"),
        (200, 100, "below 4 : 1"),
    ],
)
def test_the_published_ratio_stands_beside_it(less: int, more: int, against: str) -> None:
    balance = ShiftTotals()
    for number, bought_after in ((less, []), (more, [1_001, 1_002, 1_003, 1_004])):
        for _ in range(number):
            balance.add(customer(BEFORE + bought_after), 0, LATER)
    assert PUBLISHED == 4
    assert balance.result().against_published == against
    assert ShiftTotals().result().against_published is None
