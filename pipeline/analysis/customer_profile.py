"""All that is known about one customer, and how loyal they are at a moment."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from pipeline.analysis import customer_queries, loyalty_text, outlook
from pipeline.analysis.outlook import Outlook
from pipeline.config import Settings
from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.moments import instant, milliseconds
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.state.customer import Customer, recency_days, repeat_occasions
from pipeline.erasure.warehouse_search import check_not_erased
from pipeline.errors import NotFound
from pipeline.warehouse.client import connect


class CustomerProfile(NamedTuple):
    """A customer's newest state, their alerts, newest first, and their loyalty at a moment (none for a prospect)."""

    customer: Customer
    alerts: list[dict[str, Any]]
    at: datetime
    loyalty: Loyalty | None
    outlook: Outlook | None = None


def read(settings: Settings, customer_id: str, at: datetime, known_at: datetime | None = None) -> CustomerProfile:
    """What the warehouse knows about a customer, or knew at ``known_at``.

    Raises
    ------
    NotFound
        No event of this customer was folded and stored (by then).
    """
    warehouse = connect(settings, seconds=30)
    try:
        customer = customer_queries.state(warehouse, customer_id, known_at)
    except NotFound:
        check_not_erased(warehouse, customer_id)
        raise
    norms = Norms(
        typical_baskets={**PRIORS.typical_baskets, **customer_queries.typical_baskets(warehouse, list(customer.spent))}
    )
    state = loyalty(customer, milliseconds(at), norms, customer_queries.referrals(warehouse, customer_id, at, known_at))
    alerts = customer_queries.alerts(warehouse, customer_id, known_at)
    return CustomerProfile(customer, alerts, at, state, outlook.outlook(settings, customer, at, state))


def as_data(profile: CustomerProfile) -> dict[str, Any]:
    """The customer for a program."""
    customer, alerts, at, state, expected = profile
    return {
        "customer_id": customer.customer_id,
        "prospect": customer.is_prospect,
        "first_purchase_at": _iso(customer.first_purchase_at),
        "last_purchase_at": _iso(customer.last_purchase_at),
        "purchases": customer.purchases,
        "refunds": customer.refunds,
        "spent": {currency: str(to_amount(units)) for currency, units in customer.spent.items()},
        "refunded": {currency: str(to_amount(units)) for currency, units in customer.refunded.items()},
        "repeat_occasions": repeat_occasions(customer),
        "recency_days": recency_days(customer),
        "categories": list(customer.categories),
        "channels": customer.channels,
        "contacts": [msgspec.to_builtins(_named(contact)) for contact in customer.contacts],
        "latest_answers": {name: answer.score for name, answer in customer.latest.items()},
        "alerts": alerts,
        "loyalty_at": _iso(milliseconds(at)),
        "loyalty": loyalty_text.as_data(state) if state is not None else None,
        "outlook": outlook.as_data(expected),
        "events": customer.events,
        "synthetic_events": customer.synthetic_events,
    }


def _named(contact: Any) -> dict[str, Any]:
    return {name: getattr(contact, name) for name in contact.__struct_fields__} | {
        "opened_at": _iso(contact.opened_at),
        "last_at": _iso(contact.last_at),
    }


def _iso(at: int | None) -> str | None:
    return None if at is None else instant(at).isoformat().replace("+00:00", "Z")
