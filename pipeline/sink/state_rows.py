"""The state of a customer as columns: what SQL needs to say how loyal they are at any moment.

Rules
-----
- Nothing here depends on a moment: times and days stand with what they date, and the views do the rest.
- Moments are integer milliseconds and days are days since 1970, which is how the engine keeps them: no detour.
"""

import re
from decimal import Decimal
from typing import Any

from pipeline.core.contract.currencies import to_amount
from pipeline.core.loyalty.promises import promised
from pipeline.core.loyalty.satisfaction import share
from pipeline.core.risk.issue_facts import ease
from pipeline.core.state.customer import Answer, Contact, Customer, encode_named, recency_days, repeat_occasions
from pipeline.core.state.profile import Stated

Columns = tuple[Any, ...]


def columns(customer: Customer) -> Columns:
    """Everything of ``customer_states`` that the state itself says, in the order of the table."""
    stated = customer.stated
    return (
        customer.customer_id,
        customer.is_prospect,
        customer.first_purchase_at,
        customer.last_purchase_at,
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
        *(_stated(stated) if stated is not None else _NOTHING_STATED),
        *(_promised(customer.contacts) if customer.contacts else _NOTHING_PROMISED),
        customer.contact_events,
        _open_issues(customer.contacts),
        customer.survey_answers,
        *_consent(stated),
        *(_said(customer.latest) if customer.latest else _NOTHING_SAID),
        sum(alert.status == "open" for alert in customer.alerts) if customer.alerts else 0,
        customer.last_event_at,
        customer.events,
        customer.synthetic_events,
        encode_named(customer),
    )


def _amounts(sums: dict[str, int]) -> dict[str, Decimal]:
    return {currency: to_amount(units) for currency, units in sums.items()}


_SET = re.compile(rb"[^\0]")
_BITS = tuple(tuple(n for n in range(8) if byte >> n & 1) for byte in range(256))


def days(start: int, bitmap: bytes) -> list[int]:
    """The days of a bitmap whose first bit is the day ``start``, ascending."""
    return [
        start + 8 * place + bit for place in map(re.Match.start, _SET.finditer(bitmap)) for bit in _BITS[bitmap[place]]
    ]


def _buying(customer: Customer) -> Columns:
    """Days with a voluntary purchase, and which of them had an incentive."""
    stated, occasions = customer.stated, days(customer.occasions_from, customer.occasions)
    if stated is None or not stated.incentives:
        return occasions, [False] * len(occasions)
    incentives = set(days(stated.incentives_from, stated.incentives))
    return occasions, [day in incentives for day in occasions]


_NOTHING_STATED: Columns = ((), (), (), (), None, 0, "", 0, 0)


def _stated(stated: Stated) -> Columns:
    """Bindings, programme, referral and deliveries."""
    bindings = stated.bindings.values()
    return (
        tuple(stated.bindings),
        tuple([binding.at for binding in bindings]),
        tuple([binding.ends_at for binding in bindings]),
        tuple([binding.notice_by for binding in bindings]),
        stated.membership.member if stated.membership is not None else None,
        stated.member_purchases,
        stated.referred_by.customer_id if stated.referred_by is not None else "",
        stated.deliveries_on_time,
        stated.deliveries_late,
    )


_NOTHING_PROMISED: Columns = ((), (), ())


def _promised(contacts: list[Contact]) -> Columns:
    """Promises about contacts: the moment promised, when it was done, when the contact was solved."""
    promises = [promise for contact in contacts for promise in promised(contact)]
    return tuple(zip(*promises, strict=True)) if promises else _NOTHING_PROMISED


def _open_issues(contacts: list[Contact]) -> int:
    """Issues whose newest contact is not solved."""
    return sum(not contact.resolved for contact in {contact.issue_id: contact for contact in contacts}.values())


def _consent(stated: Stated | None) -> Columns:
    consent = stated.consent if stated is not None else None
    return (consent.status, consent.at) if consent is not None else ("", None)


_NOTHING_SAID: Columns = (None, None, None, (), (), None, None, None, None)


def _said(latest: dict[str, Answer]) -> Columns:
    """The newest answers: recommendation, effort, satisfaction, intention."""
    nps, effort = latest.get("nps"), latest.get("ces2") or latest.get("ces1")
    efforts = [latest[name] for name in ("ces2", "ces1") if name in latest]  # in a tie the last one counts
    efforts.sort(key=lambda answer: (answer.at, answer.event_id))
    return (
        *((nps.score, nps.at) if nps is not None else (None, None)),
        ease(effort) if effort is not None else None,
        tuple([ease(answer) for answer in efforts]),
        tuple([answer.at for answer in efforts]),
        *_share(latest.get("csat")),
        *_share(latest.get("repurchase_intent")),
    )


def _share(answer: Answer | None) -> Columns:
    return (share(answer), answer.at) if answer is not None else (None, None)
