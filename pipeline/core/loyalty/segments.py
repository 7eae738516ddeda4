"""Loyalty segments: whether a customer is regular and whether they are long-standing, two questions with four answers.

A regular (Stammkunde) is one who buys often and not only for small change, whether for two months or for twenty years.
Frequency is counted in purchase days, not in lines or renewals. A basket is measured in typical ones of its currency,
so that customers who pay in several need no exchange rate.
"""

from collections.abc import Mapping
from typing import Literal

from pipeline.core.contract.currencies import UNITS
from pipeline.core.definition import Definition
from pipeline.core.loyalty.lifecycle import occasions_until, within_a_year
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.state.customer import DAY_MS, Customer

Quadrant = Literal[
    "long-standing regular",
    "regular, not long-standing",
    "long-standing, not regular",
    "neither regular nor long-standing",
]


def tenure_days(customer: Customer, now: int) -> int:
    """Days since the first purchase; the customer is no prospect."""
    return now // DAY_MS - (customer.first_purchase_at or 0) // DAY_MS


def is_long_standing(tenure: int, norms: Norms = PRIORS) -> bool:
    """Whether a customer of so many days is long-standing."""
    return tenure >= norms.long_standing_days


def occasions_in_year(customer: Customer, now: int) -> int:
    """Days with a voluntary purchase within the last 365 days."""
    return within_a_year(customer, occasions_until(customer, now), now).bit_count()


def basket_ratio(customer: Customer, typical: Mapping[str, float]) -> float | None:
    """The mean purchase in typical ones of its currency; ``None`` where nobody said what is typical."""
    if not customer.purchases or not customer.spent.keys() <= typical.keys():
        return None
    baskets = sum(units / UNITS / typical[currency] for currency, units in customer.spent.items())
    return baskets / customer.purchases


def is_regular(occasions: int, basket: float | None, norms: Norms = PRIORS) -> bool | None:
    """Whether a customer is regular, from purchase days within a year and mean basket alone.

    ``None``: buys often enough, and nobody can say whether the basket is small.
    """
    if occasions < norms.frequent_occasions:
        return False
    return None if basket is None else basket >= norms.large_basket_ratio


def quadrant(regular: bool | None, long_standing: bool) -> Quadrant | None:
    """Which of four a customer is; ``None`` where it is not known whether they are regular."""
    if regular is None:
        return None
    if regular:
        return "long-standing regular" if long_standing else "regular, not long-standing"
    return "long-standing, not regular" if long_standing else "neither regular nor long-standing"


DEFINITIONS = (
    Definition("tenure_days", 1, "Days since the first purchase.", "days"),
    Definition("long_standing", 1, "First bought 365 days ago or longer. Says nothing about how often."),
    Definition("occasions_in_year", 1, "Days with a voluntary purchase within the last 365 days.", "days"),
    Definition("basket_ratio", 1, "The mean purchase, measured in typical purchases (the median) of its currency."),
    Definition(
        "regular",
        1,
        "Buys often and not only for small change: on 6 days or more within the last 365, with a mean purchase of at "
        "least half a typical one. Tenure has no part in it. Empty where it is not known what a typical purchase is.",
    ),
    Definition("quadrant", 1, "Regular against long-standing: which of the four a customer is."),
    Definition("long-standing regular", 1, "Regular, for 365 days or longer."),
    Definition("regular, not long-standing", 1, "Regular, for less than 365 days."),
    Definition("long-standing, not regular", 1, "First bought 365 days ago or longer, and is no regular for all that."),
    Definition("neither regular nor long-standing", 1, "No regular, for less than 365 days."),
)
