"""A customer's purchases on a day, whatever source they come from. Needs none of the libraries of the extra ``fit``."""

from typing import NamedTuple


class Bought(NamedTuple):
    """Purchases of a customer on one UTC day (days since 1970); ``units`` are 1/10,000 of the currency."""

    customer: str
    day: int
    units: int
    currency: str
    obligated: bool = False
    refund: bool = False
