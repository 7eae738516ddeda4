"""Measures of purchases other than their rhythm: incentives, programme, cross-selling, and the inputs of RFM."""

from msgspec import Struct

from pipeline.core.definition import Definition
from pipeline.core.loyalty.lifecycle import incentive_days, occasions_until
from pipeline.core.state.customer import DAY_MS, Customer


class Incentives(Struct, frozen=True):
    """How much a customer buys for the sake of an incentive, and the repurchases without."""

    incentivised_share: float
    full_price_repeats: int


def incentives(customer: Customer, now: int) -> Incentives:
    """The share of incentives among all purchases, and the repeat occasions that had none."""
    share = customer.incentivised / customer.purchases if customer.purchases else 0.0
    return Incentives(share, full_price_repeats(customer, now).bit_count())


def full_price_repeats(customer: Customer, now: int) -> int:
    """The repeat occasions on which nothing was bought with an incentive, as bits in the places of the occasions."""
    bits = occasions_until(customer, now)
    return bits & ~incentive_days(customer) & ~1


def member_share(customer: Customer) -> float | None:
    """The share of purchases that said the customer was in the programme; ``None`` where nobody ever said."""
    if customer.stated is None or customer.stated.membership is None or not customer.purchases:
        return None
    return customer.stated.member_purchases / customer.purchases


def cross_sold(customer: Customer, now: int) -> int:
    """Categories that were new to the customer after the first purchase."""
    first = customer.first_purchase_at
    return sum(first is not None and first < at <= now for at in customer.categories.values())


def days_since_last_purchase(customer: Customer, now: int) -> int:
    """Days since the last purchase of any kind, obligated ones too; the customer is no prospect."""
    return max(0, now // DAY_MS - (customer.last_purchase_at or 0) // DAY_MS)


def net_spent(customer: Customer) -> dict[str, int]:
    """What was paid less what was paid back, by currency, in 1/10,000 units."""
    currencies = sorted(customer.spent.keys() | customer.refunded.keys())
    return {currency: customer.spent.get(currency, 0) - customer.refunded.get(currency, 0) for currency in currencies}


RFM = "recency, frequency and monetary value (Bult & Wansbeek 1995, Marketing Science 14(4))"
DEFINITIONS = (
    Definition("days_since_last_purchase", 1, "Days since the last purchase of any kind. Recency in RFM.", "days", RFM),
    Definition("purchases", 1, "Purchases of any kind, refunds not counted. Frequency in RFM.", "", RFM),
    Definition(
        "net_spent", 1, "What was paid less what was paid back, by currency. Monetary value in RFM.", "money", RFM
    ),
    Definition("incentivised_share", 1, "Share of purchases with a coupon or discount.", "0 to 1"),
    Definition(
        "full_price_repeats",
        1,
        "Repeat occasions on which nothing was bought with an incentive: repeat_occasions without incentives.",
        "days",
    ),
    Definition("programme_member", 1, "In the loyalty programme, by the newest purchase that says so."),
    Definition("member_share", 1, "Share of purchases made as a member of the programme.", "0 to 1"),
    Definition("cross_sold", 1, "Categories the customer bought first after their first purchase."),
    Definition("referred_by", 1, "The customer who recommended us to this one, by their first word on it."),
    Definition(
        "referrals",
        1,
        "Customers whose purchases name this one as the one who recommended us. Counted in the warehouse, because the "
        "events that say so are those of the others.",
    ),
)
