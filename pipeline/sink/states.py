"""The state of a customer as columns: what SQL needs to say how loyal they are at any moment.

Rules
-----
- Nothing here depends on a moment: times and days stand beside what they date, and the views do the rest.
- Moments are integer milliseconds and days are days since 1970, which is how the engine keeps them: no detour.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.core.currencies import to_amount
from pipeline.core.customer import Answer, Customer, encode_named, recency_days, repeat_occasions
from pipeline.core.moments import instant
from pipeline.core.promises import promised
from pipeline.core.risk import ease
from pipeline.core.satisfaction import share
from pipeline.core.stated import Stated

Columns = tuple[Any, ...]
_BITS = tuple(tuple(n for n in range(8) if byte >> n & 1) for byte in range(256))
_NOTHING = Stated()


def columns(customer: Customer) -> Columns:
    """Everything of ``customer_states`` that the state itself says."""
    return (
        customer.customer_id,
        customer.is_prospect,
        _instant(customer.first_purchase_at),
        _instant(customer.last_purchase_at),
        customer.purchases,
        customer.refunds,
        customer.incentivised,
        customer.obligated,
        repeat_occasions(customer),
        recency_days(customer),
        _amounts(customer.spent),
        _amounts(customer.refunded),
        customer.channels,
        list(customer.categories),
        list(customer.categories.values()),
        *_buying(customer),
        *_stated(customer.stated or _NOTHING),
        *_promised(customer),
        *_contacts(customer),
        *_said(customer),
        sum(alert.status == "open" for alert in customer.alerts),
        instant(customer.last_event_at),
        customer.events,
        customer.synthetic_events,
        encode_named(customer),
    )


def _instant(at: int | None) -> datetime | None:
    return None if at is None else instant(at)


def _amounts(sums: dict[str, int]) -> dict[str, Decimal]:
    return {currency: to_amount(units) for currency, units in sums.items()}


def days(start: int, bitmap: bytes) -> list[int]:
    """The days of a bitmap whose first bit is the day ``start``, ascending."""
    return [start + 8 * place + bit for place, byte in enumerate(bitmap) if byte for bit in _BITS[byte]]


def _buying(customer: Customer) -> Columns:
    """Days with a voluntary purchase, and which of them had an incentive."""
    stated = customer.stated or _NOTHING
    occasions = days(customer.occasions_from, customer.occasions)
    incentives = set(days(stated.incentives_from, stated.incentives))
    return occasions, [day in incentives for day in occasions]


def _stated(stated: Stated) -> Columns:
    """Bindings, programme, referral and deliveries."""
    bindings = stated.bindings.values()
    return (
        list(stated.bindings),
        [binding.at for binding in bindings],
        [binding.ends_at for binding in bindings],
        [binding.notice_by for binding in bindings],
        stated.membership.member if stated.membership is not None else None,
        stated.member_purchases,
        stated.referred_by.customer_id if stated.referred_by is not None else "",
        stated.deliveries_on_time,
        stated.deliveries_late,
    )


def _promised(customer: Customer) -> Columns:
    """Promises about contacts: the moment promised, when it was done, when the contact was solved."""
    promises = [made for contact in customer.contacts for made in promised(contact)]
    return tuple([made[n] for made in promises] for n in range(3))


def _contacts(customer: Customer) -> Columns:
    """Stages of contacts, and issues whose newest contact is not solved."""
    newest = {contact.issue_id: contact for contact in customer.contacts}
    return customer.contact_events, sum(not contact.resolved for contact in newest.values())


def _said(customer: Customer) -> Columns:
    """Survey answers and consent."""
    consent = customer.stated.consent if customer.stated is not None else None
    latest = customer.latest
    nps, effort = latest.get("nps"), latest.get("ces2") or latest.get("ces1")
    efforts = sorted(
        (latest[name] for name in ("ces2", "ces1") if name in latest), key=lambda answer: (answer.at, answer.event_id)
    )
    return (
        customer.survey_answers,
        consent.status if consent is not None else "",
        consent.at if consent is not None else None,
        *((nps.score, nps.at) if nps is not None else (None, None)),
        ease(effort) if effort is not None else None,
        [ease(answer) for answer in efforts],
        [answer.at for answer in efforts],
        *_share(latest.get("csat")),
        *_share(latest.get("repurchase_intent")),
    )


def _share(answer: Answer | None) -> Columns:
    return (share(answer), answer.at) if answer is not None else (None, None)
