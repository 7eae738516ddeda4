"""What the fitted purchase models expect one customer to buy next."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config import Settings
from pipeline.core.contract.moments import milliseconds
from pipeline.core.forecast import learned
from pipeline.core.forecast.purchasing import Leaving, chance_to_buy, expected_purchases, history_of, shown_alive
from pipeline.core.loyalty.loyalty_state import Loyalty
from pipeline.core.state.customer import DAY_MS, Customer
from pipeline.errors import Refused


class Outlook(NamedTuple):
    """Expected voluntary purchase days in the next ``weeks``, by the fitted model ``version``."""

    version: str
    weeks: float
    expected_purchases: float
    p_buy: float
    p_alive: float | None
    """By MBG/NBD."""


def read_learned(path: str) -> learned.LearnedPurchases:
    """The parameter file that ``loyalty fit purchases`` wrote.

    Raises
    ------
    Refused
        It cannot be read, or is no such file.
    """
    try:
        return learned.decode(Path(path).expanduser().read_bytes())
    except OSError as failed:
        raise Refused(f"cannot read the purchase parameters {path}: {failed.strerror}") from None


def outlook(settings: Settings, customer: Customer, at: datetime, state: Loyalty | None) -> Outlook | None:
    """What to expect of a customer; ``None`` without parameters, before a voluntary purchase, or under a contract.

    Raises
    ------
    Refused
        The parameter file cannot be used.
    """
    if not settings.purchase_model or state is None:
        return None
    parameters = read_learned(settings.purchase_model)
    if any(binding.kind == "contractual" for binding in state.bindings):
        return None
    history = history_of(customer, milliseconds(at) // DAY_MS, contractual=False)
    if history is None:
        return None
    model, weeks = parameters.purchase_model(Leaving.AFTER_REPEAT_PURCHASES), parameters.hold_out.weeks
    return Outlook(
        parameters.version,
        weeks,
        expected_purchases(model, history, weeks),
        chance_to_buy(model, history, weeks),
        shown_alive(parameters.purchase_model(Leaving.AFTER_ANY_PURCHASE), history),
    )


def lines(expected: Outlook | None) -> Iterator[str]:
    """An outlook in sentences."""
    if expected is not None:
        yield (
            f"  In the next {expected.weeks:.0f} weeks: {expected.p_buy:.0%} will buy again, on "
            f"{expected.expected_purchases:.1f} days on average, of customers like this (model {expected.version})."
        )


def as_data(expected: Outlook | None) -> dict[str, Any] | None:
    """An outlook for a program."""
    return None if expected is None else expected._asdict()
