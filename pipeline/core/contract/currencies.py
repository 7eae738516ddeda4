"""The accepted ISO 4217 currency codes, and the unit in which the state counts money."""

from decimal import Decimal
from typing import Final, Literal

# fmt: off
Currency = Literal[
    "ADP", "AED", "AFA", "AFN", "ALL", "AMD", "ANG", "AOA", "AON", "AOR", "ARS", "ATS", "AUD", "AWG", "AZM", "AZN",
    "BAM", "BBD", "BDT", "BEF", "BGL", "BGN", "BHD", "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYB",
    "BYN", "BYR", "BZD", "CAD", "CDF", "CHF", "CLF", "CLP", "CNY", "COP", "CRC", "CSD", "CUC", "CUP", "CVE", "CYP",
    "CZK", "DEM", "DJF", "DKK", "DOP", "DZD", "ECS", "EEK", "EGP", "ERN", "ESP", "ETB", "EUR", "FIM", "FJD", "FKP",
    "FRF", "GBP", "GEL", "GHC", "GHS", "GIP", "GMD", "GNF", "GRD", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF",
    "IDR", "IEP", "ILS", "INR", "IQD", "IRR", "ISK", "ITL", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW",
    "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LTL", "LUF", "LVL", "LYD", "MAD", "MDL", "MGA",
    "MGF", "MKD", "MMK", "MNT", "MOP", "MRO", "MRU", "MTL", "MUR", "MVR", "MWK", "MXN", "MYR", "MZM", "MZN", "NAD",
    "NGN", "NIO", "NLG", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PTE", "PYG", "QAR",
    "ROL", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDD", "SDG", "SEK", "SGD", "SHP", "SIT", "SKK", "SLE",
    "SLL", "SOS", "SRD", "SRG", "SSP", "STD", "STN", "SVC", "SYP", "SZL", "THB", "TJR", "TJS", "TMM", "TMT", "TND",
    "TOP", "TPE", "TRL", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UYW", "UZS", "VEB", "VED", "VEF",
    "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "YUM", "ZAR", "ZMK", "ZMW", "ZWD", "ZWG",
    "ZWL", "ZWR",
]
# fmt: on
"""What is legal tender somewhere, or was since 1999, when the euro came: history is imported in the money of its time.

With the unit of account of Chile and that of Uruguay. A test compares it with the list of Unicode's CLDR.
"""

UNITS: Final = 10_000
"""Money in the state is an integer count of 1/10,000 of the currency: exact for every ISO 4217 currency."""

AMOUNT_PATTERN = r"^-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,4}0*)?\Z"
"""An amount written as a string: below 10^11 either way, at most four decimals, and any zeros after them."""
AMOUNT_LIMIT = 1e11
"""An amount written as a JSON number is below this; so a 64-bit float holds it exactly to four decimals."""


def to_units(amount: str | float) -> int:
    """An amount as an integer count of 1/10,000 units.

    Raises
    ------
    ValueError
        A number that is no multiple of 1/10,000.
    """
    if isinstance(amount, str):
        whole, _, decimals = amount.partition(".")
        return int(whole + decimals[:4].ljust(4, "0"))
    units = round(amount * UNITS)
    if units / UNITS != amount:
        raise ValueError("more than four decimals")
    return units


def to_amount(units: int) -> Decimal:
    """The inverse of :func:`to_units`."""
    return Decimal(units) / UNITS
