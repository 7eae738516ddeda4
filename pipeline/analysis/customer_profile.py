"""All that is known about one customer at a moment, and how loyal they are."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from pipeline.analysis import answer_moments, customer_queries, loyalty_text, outlook
from pipeline.analysis.outlook import Outlook
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.moments import instant, iso, milliseconds
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.state.customer import AlertState, Customer, recency_days, repeat_occasions
from pipeline.erasure.warehouse_search import check_not_erased
from pipeline.errors import NotFound
from pipeline.warehouse.client import connect


class CustomerProfile(NamedTuple):
    """A customer's state at a moment, their alerts, open ones first, and their loyalty (none for a prospect)."""

    customer: Customer
    alerts: list[dict[str, Any]]
    moment: AnswerMoment
    loyalty: Loyalty | None
    outlook: Outlook | None = None


def read(
    settings: Settings, customer_id: str, at: datetime | None = None, known_at: datetime | None = None
) -> CustomerProfile:
    """What the warehouse knows about a customer at ``at``, or knew of that moment at ``known_at``.

    Without ``at`` it is ``known_at``, or else the answer moment.

    Raises
    ------
    NotFound
        No event of this customer was folded and stored (by then), or none had happened by ``at``.
    """
    warehouse = connect(settings, seconds=30)
    moment = answer_moments.moment_of_answer(warehouse, at or known_at)
    try:
        customer = customer_queries.state(warehouse, customer_id, moment.at, known_at)
    except NotFound:
        check_not_erased(warehouse, customer_id)
        raise
    norms = Norms(
        typical_baskets={**PRIORS.typical_baskets, **customer_queries.typical_baskets(warehouse, list(customer.spent))}
    )
    alerts = customer_queries.alerts(warehouse, customer_id, moment.at, known_at)
    customer.alerts = list(map(_alert_state, alerts))
    referrals = customer_queries.referrals(warehouse, customer_id, moment.at, known_at)
    state = loyalty(customer, milliseconds(moment.at), norms, referrals)
    return CustomerProfile(customer, alerts, moment, state, outlook.outlook(settings, customer, moment.at, state))


def _alert_state(alert: dict[str, Any]) -> AlertState:
    """An alert as a state remembers it, without what only the worker compares."""
    raised_at = milliseconds(datetime.fromisoformat(alert["raised_at"]).replace(tzinfo=UTC))
    return AlertState(alert["issue_id"], alert["alert_id"], alert["status"], alert["severity"], raised_at, 0)


def as_data(profile: CustomerProfile) -> dict[str, Any]:
    """The customer for a program."""
    customer, alerts, moment, state, expected = profile
    return answer_moments.as_data(moment) | {
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
        "loyalty_at": _iso(milliseconds(moment.at)),
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
    return None if at is None else iso(instant(at))
