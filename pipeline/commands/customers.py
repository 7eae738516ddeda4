"""``loyalty customer``: one customer, as a person reads them."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from pipeline.commands import known, outlook, output, standing
from pipeline.commands.outlook import Outlook
from pipeline.config import Settings
from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.moments import instant, milliseconds
from pipeline.core.loyalty.consent import may_survey
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.risk.assessment import ease
from pipeline.core.state.customer import Customer, recency_days, repeat_occasions
from pipeline.erasure.warehouse_search import check_not_erased
from pipeline.errors import NotFound
from pipeline.warehouse.client import connect


class Known(NamedTuple):
    """A customer's newest state, their alerts, newest first, and their loyalty at a moment (none for a prospect)."""

    customer: Customer
    alerts: list[dict[str, Any]]
    at: datetime
    loyalty: Loyalty | None
    outlook: Outlook | None = None


def read(settings: Settings, customer_id: str, at: datetime, known_at: datetime | None = None) -> Known:
    """What the warehouse knows about a customer, or knew at ``known_at``.

    Raises
    ------
    NotFound
        No event of this customer was folded and stored (by then).
    """
    warehouse = connect(settings, seconds=30)
    try:
        customer = known.state(warehouse, customer_id, known_at)
    except NotFound:
        check_not_erased(warehouse, customer_id)
        raise
    norms = Norms(typical_baskets={**PRIORS.typical_baskets, **known.typical_baskets(warehouse, list(customer.spent))})
    state = loyalty(customer, milliseconds(at), norms, known.referrals(warehouse, customer_id, at, known_at))
    alerts = known.alerts(warehouse, customer_id, known_at)
    return Known(customer, alerts, at, state, outlook.outlook(settings, customer, at, state))


def as_data(found: Known) -> dict[str, Any]:
    """The customer for a program."""
    customer, alerts, at, state, expected = found
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
        "loyalty": standing.as_data(state) if state is not None else None,
        "outlook": outlook.as_data(expected),
        "events": customer.events,
        "synthetic_events": customer.synthetic_events,
    }


def _named(contact: Any) -> dict[str, Any]:
    return {name: getattr(contact, name) for name in contact.__struct_fields__} | {
        "opened_at": _iso(contact.opened_at),
        "last_at": _iso(contact.last_at),
    }


def show(found: Known) -> None:
    """The customer for a person."""
    customer, alerts = found.customer, found.alerts
    lines = [
        f"Customer {output.clean(customer.customer_id)}",
        "",
        *_purchases(customer),
        *_contacts(customer),
        *_answers(customer),
        *_risk(alerts),
        *loyalty_of(found),
        *outlook.lines(found.outlook),
        "",
        f"Rests on {_plural(customer.events, 'event')}, {customer.synthetic_events} of them synthetic.",
    ]
    for line in lines:
        output.say(line)


def loyalty_of(found: Known) -> list[str]:
    """How loyal a customer is, in sentences; of a prospect only whether they may be asked."""
    customer, at, state = found.customer, found.at, found.loyalty
    if state is None:
        said = customer.stated.consent if customer.stated is not None else None
        return [standing.surveys(said.status if said is not None else None, may_survey(customer, milliseconds(at)))]
    return [
        "",
        f"Loyalty on {_day(milliseconds(at))} (`loyalty glossary` says what the words mean):",
        *standing.sentences(state),
    ]


def _purchases(customer: Customer) -> list[str]:
    if customer.first_purchase_at is None:
        return ["A prospect: no purchase yet, so no loyalty to speak of."]
    spent = ", ".join(f"{to_amount(units):.2f} {currency}" for currency, units in sorted(customer.spent.items()))
    days = repeat_occasions(customer)
    again = f"came back on {days} further day{'s' if days != 1 else ''}" if days else "has not come back since"
    lines = [
        f"Bought {_count(customer.purchases, 'time')} for {spent}, first on {_day(customer.first_purchase_at)}, "
        f"last on {_day(customer.last_purchase_at)}; {again}."
    ]
    if customer.refunds:
        lines.append(f"Returned something {_count(customer.refunds, 'time')}.")
    if customer.incentivised or customer.obligated:
        lines.append(f"{customer.incentivised} of these with an incentive, {customer.obligated} under obligation.")
    return lines


def _contacts(customer: Customer) -> list[str]:
    if not customer.contacts:
        return ["Never had to contact service."]
    lines = [f"Contacted service {_count(len(customer.contacts), 'time')}:"]
    for contact in customer.contacts:
        lines.append(
            f"  {_day(contact.opened_at)}  {contact.channel} {contact.kind} ({contact.origin}), issue "
            f"{output.clean(contact.issue_id)}: {'solved' if contact.resolved else 'not solved'}"
        )
    return lines


_SAID = {
    "nps": "would recommend us {score} of 10",
    "csat": "satisfied {score} on {low} to {high}",
    "repurchase_intent": "would buy again {score} on {low} to {high}",
}


def _answers(customer: Customer) -> list[str]:
    said = []
    for name, answer in customer.latest.items():
        text = _SAID.get(name, f"ease {ease(answer):.0%} (score {answer.score})" if name.startswith("ces") else name)
        said.append(f"  {_day(answer.at)}  {text.format(score=answer.score, low=answer.low, high=answer.high)}")
    return ["Said last:", *said] if said else ["Answered no survey."]


def _risk(alerts: list[dict[str, Any]]) -> list[str]:
    if not alerts:
        return ["No alert was ever raised."]
    lines = []
    for alert in alerts:
        lines.append(
            f"Alert {alert['alert_id'][:12]}, {alert['status']}, {alert['severity']}: churn risk "
            f"{float(alert['churn_risk_before_0_1']):.0%} before the contact, "
            f"{float(alert['churn_risk_0_1']):.0%} now."
        )
        lines += [f"  - {reason}" for reason in alert["reasons"]]
        lines.append(f"  Next: {alert['recommended_action']}")
    return lines


def _count(number: int, noun: str) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} {noun}s")


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _iso(at: int | None) -> str | None:
    return None if at is None else instant(at).isoformat().replace("+00:00", "Z")


def _day(at: int | None) -> str:
    return (_iso(at) or "")[:10]
