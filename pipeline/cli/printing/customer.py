"""Prints one customer, in sentences."""

from typing import Any

from pipeline.analysis import loyalty_text, outlook
from pipeline.analysis.customer_profile import CustomerProfile
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of
from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.moments import day, milliseconds
from pipeline.core.loyalty.consent import may_survey
from pipeline.core.risk.issue_facts import ease
from pipeline.core.state.customer import Customer, repeat_occasions


def show(profile: CustomerProfile) -> None:
    """The customer for a person."""
    customer, alerts = profile.customer, profile.alerts
    lines = [
        f"Customer {output.clean(customer.customer_id)}",
        f"{as_of(profile.moment)}.",
        "",
        *_purchases(customer),
        *_contacts(customer),
        *_answers(customer),
        *_risk(alerts),
        *loyalty_of(profile),
        *outlook.lines(profile.outlook),
        "",
        f"Rests on {loyalty_text.plural(customer.events, 'event')}, {customer.synthetic_events} of them synthetic.",
    ]
    for line in lines:
        output.say(line)


def loyalty_of(profile: CustomerProfile) -> list[str]:
    """How loyal a customer is, in sentences; of a prospect only whether they may be asked."""
    customer, at, state = profile.customer, milliseconds(profile.moment.at), profile.loyalty
    if state is None:
        consent = customer.stated.consent if customer.stated is not None else None
        return [loyalty_text.surveys(consent.status if consent is not None else None, may_survey(customer, at))]
    return [
        "",
        f"Loyalty on {day(at)} (`loyalty glossary` says what the words mean):",
        *loyalty_text.sentences(state),
    ]


def _purchases(customer: Customer) -> list[str]:
    if customer.first_purchase_at is None or customer.last_purchase_at is None:  # both are known or neither
        return ["A prospect: no purchase yet, so no loyalty to speak of."]
    spent = ", ".join(f"{to_amount(units):.2f} {currency}" for currency, units in sorted(customer.spent.items()))
    days = repeat_occasions(customer)
    again = f"came back on {days} further day{'s' if days != 1 else ''}" if days else "has not come back since"
    lines = [
        f"Bought {_count(customer.purchases, 'time')} for {spent}, first on {day(customer.first_purchase_at)}, "
        f"last on {day(customer.last_purchase_at)}; {again}."
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
            f"  {day(contact.opened_at)}  {contact.channel} {contact.kind} ({contact.origin}), issue "
            f"{output.clean(contact.issue_id)}: {'solved' if contact.resolved else 'not solved'}"
        )
    return lines


_SAID = {
    "nps": "would recommend us {score} of 10",
    "csat": "satisfied {score} on {low} to {high}",
    "repurchase_intent": "would buy again {score} on {low} to {high}",
}


def _answers(customer: Customer) -> list[str]:
    lines = []
    for name, answer in customer.latest.items():
        text = _SAID.get(name, f"ease {ease(answer):.0%} (score {answer.score})" if name.startswith("ces") else name)
        lines.append(f"  {day(answer.at)}  {text.format(score=answer.score, low=answer.low, high=answer.high)}")
    return ["Said last:", *lines] if lines else ["Answered no survey."]


def _risk(alerts: list[dict[str, Any]]) -> list[str]:
    if not alerts:
        return ["The desk had been told of no alert by then."]
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
