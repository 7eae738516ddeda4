"""The ISO 4217 codes money may come in, and the unit the state counts it in."""

from decimal import Decimal
from typing import Final, Literal

# fmt: off
Currency = Literal[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLF", "CLP", "CNY", "COP",
    "CRC", "CUC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP",
    "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "IQD",
    "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP",
    "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG",
    "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP",
    "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD",
    "UYU", "UYW", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
]
# fmt: on

UNITS: Final = 10_000
"""Money in the state is an integer count of 1/10,000 of the currency: exact for every ISO 4217 currency."""

AMOUNT_PATTERN = r"^-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,4})?\Z"
"""An amount written as a string: below 10^11 either way, at most four decimals."""
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
        return int(whole + decimals.ljust(4, "0"))
    units = round(amount * UNITS)
    if units / UNITS != amount:
        raise ValueError("more than four decimals")
    return units


def to_amount(units: int) -> Decimal:
    """The inverse of :func:`to_units`."""
    return Decimal(units) / UNITS
