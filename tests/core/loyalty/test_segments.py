"""Regular against long-standing: two questions that have nothing to do with each other."""

import pytest

from pipeline.core.contract.events import Event
from pipeline.core.loyalty.loyalty_policy import Norms
from pipeline.core.loyalty.segments import (
    Quadrant,
    basket_ratio,
    is_long_standing,
    is_regular,
    occasions_in_year,
    quadrant,
    tenure_days,
)
from pipeline.core.state.customer import Customer
from tests.core.histories import replay
from tests.core.loyalty.test_lifecycle import buyer, day
from tests.core.test_fold import bought

NORMS = Norms(typical_baskets={"EUR": 40.0, "USD": 20.0})


def found(customer: Customer, at: float) -> Quadrant | None:
    basket = basket_ratio(customer, NORMS.typical_baskets)
    regular = is_regular(occasions_in_year(customer, day(at)), basket, NORMS)
    return quadrant(regular, is_long_standing(tenure_days(customer, day(at)), NORMS))


LARGE, SMALL = "80.00", "5.00"
FORTNIGHTS = tuple(range(0, 60, 5))
CUSTOMERS: dict[str, tuple[Customer, float, Quadrant]] = {
    "old, 2 small purchases": (buyer(0, 900, amount=SMALL), 3_650, "long-standing, not regular"),
    "60 days old, 12 large baskets": (buyer(*FORTNIGHTS, amount=LARGE), 60, "regular, not long-standing"),
    "12 large baskets, years ago": (buyer(*FORTNIGHTS, amount=LARGE), 2_000, "long-standing, not regular"),
    "12 small baskets": (buyer(*FORTNIGHTS, amount=SMALL), 60, "neither regular nor long-standing"),
    "2 large baskets": (buyer(0, 9, amount=LARGE), 60, "neither regular nor long-standing"),
    "12 large baskets, for long": (
        buyer(*range(0, 730, 30), amount=LARGE), 730, "long-standing regular",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("customer", "at", "expected"), CUSTOMERS.values(), ids=CUSTOMERS)
def test_a_long_standing_customer_is_not_a_regular(customer: Customer, at: float, expected: Quadrant) -> None:
    assert found(customer, at) == expected


@pytest.mark.parametrize(("days", "expected"), [(364, False), (365, True), (366, True)])
def test_long_standing_is_365_days(days: int, expected: bool) -> None:
    assert is_long_standing(tenure_days(buyer(0), day(days))) == expected


@pytest.mark.parametrize(("occasions", "expected"), [(5, False), (6, True), (7, True)])
def test_regular_is_6_days_within_a_year(occasions: int, expected: bool) -> None:
    customer = buyer(*range(0, occasions * 50, 50))
    assert is_regular(occasions_in_year(customer, day(364)), 1.0) == expected


@pytest.mark.parametrize(("amount", "expected"), [("19.9999", False), ("20.00", True), ("20.0001", True)])
def test_regular_is_half_a_typical_basket(amount: str, expected: bool) -> None:
    customer = buyer(*FORTNIGHTS, amount=amount)
    assert is_regular(12, basket_ratio(customer, NORMS.typical_baskets), NORMS) == expected


def test_tenure_has_no_part_in_regular() -> None:
    """The same year of buying counts the same after one year as after ten."""
    lately = [3_300 + 30 * number for number in range(12)]
    assert [occasions_in_year(buyer(*days), day(3_650)) for days in (lately, [0, *lately])] == [12, 12]


def test_several_purchases_on_one_day_or_under_obligation_are_not_frequent() -> None:
    assert occasions_in_year(buyer(1, 1.1, 1.2, 1.3, 1.4, 1.5), day(9)) == 1
    assert occasions_in_year(buyer(*range(0, 300, 30), obligated=True), day(300)) == 0


def test_baskets_in_several_currencies_need_no_exchange_rate() -> None:
    events: list[Event] = [bought(1, amount="40.00"), bought(2, amount="40.00", currency="USD")]
    assert basket_ratio(replay(events)[0], NORMS.typical_baskets) == pytest.approx((1 + 2) / 2)


def test_without_a_typical_basket_nobody_claims_to_know() -> None:
    yen = buyer(*FORTNIGHTS, amount="5000", currency="JPY")
    assert basket_ratio(yen, NORMS.typical_baskets) is None
    assert is_regular(12, None) is None
    assert quadrant(None, True) is None
    assert is_regular(5, None) is False
