"""Folds events into the profile of a customer: bindings, consent, a programme, who referred them, promises, incentives.

Everything works with none of it. Each function folds one event into a customer that is being built; which of two
statements counts is decided by a total order of the statements, so the order of arrival cannot show.
"""

from copy import copy
from datetime import datetime

from pipeline.core.contract.events import Event, Purchase, ServiceContact
from pipeline.core.contract.moments import milliseconds
from pipeline.core.state.customer import DAY_MS, Customer
from pipeline.core.state.days import with_day
from pipeline.core.state.profile import BindingState, ConsentState, MembershipState, Promises, ReferralState, Stated


def consented(after: Customer, event: Event) -> None:
    """Note what an event says about survey consent.

    The customer's own yes or no counts before a claimed exception, however new: § 7(3) no. 3 UWG ends the exception
    with an objection. Among equals the newest counts, and a no before a yes of the same moment.
    """
    if event.survey_consent is None:
        return
    stated = _own(after)
    at = milliseconds(event.survey_consent_at or event.occurred_at)
    consent = ConsentState(at, event.event_id, event.survey_consent)
    if stated.consent is None or _weight(stated.consent) < _weight(consent):
        stated.consent = consent


def _weight(consent: ConsentState) -> tuple[bool, int, bool, str]:
    own = consent.status != "existing_customer"
    return own, consent.at, consent.status == "withdrawn", consent.event_id


def says_more(event: Purchase) -> bool:
    """Whether a purchase, or a refund, says anything that :func:`attributed` notes."""
    return bool(
        event.bindings
        or event.programme_member is not None
        or event.referred_by is not None
        or event.delivered_at is not None
    )


def attributed(after: Customer, event: Purchase, at: int) -> None:
    """Note what a purchase, or a refund, says beyond what was bought."""
    stated = _own(after)
    for binding in event.bindings:
        bound = BindingState(at, event.event_id, _at(binding.ends_at), _at(binding.notice_by))
        known = stated.bindings.get(binding.kind)
        if known is None or (known.at, known.event_id) < (at, event.event_id):
            stated.bindings = dict(sorted({**stated.bindings, binding.kind: bound}.items()))
    if event.programme_member is not None:
        _joined(stated, MembershipState(at, event.event_id, event.programme_member))
        stated.member_purchases += event.programme_member and event.refund_of is None
    if event.referred_by is not None:
        _referred(stated, ReferralState(at, event.event_id, event.referred_by))
    if event.delivered_at is not None and event.promised_delivery_at is not None:
        late = event.delivered_at > event.promised_delivery_at
        stated.deliveries_late += late
        stated.deliveries_on_time += not late


def _joined(stated: Stated, membership: MembershipState) -> None:
    known = stated.membership
    if known is None or (known.at, known.event_id) < (membership.at, membership.event_id):
        stated.membership = membership


def _referred(stated: Stated, referral: ReferralState) -> None:
    known = stated.referred_by
    if known is None or (referral.at, referral.event_id) < (known.at, known.event_id):
        stated.referred_by = referral


def prompted(after: Customer, at: int) -> None:
    """Note a voluntary purchase with an incentive: its day is no full-price occasion."""
    stated = _own(after)
    stated.incentives_from, stated.incentives = with_day(stated.incentives_from, stated.incentives, at // DAY_MS)


def _own(after: Customer) -> Stated:
    """What is stated about a customer that is being built, as a copy of its own."""
    after.stated = Stated() if after.stated is None else copy(after.stated)
    return after.stated


def promises_of(event: ServiceContact) -> Promises | None:
    """What a stage of a contact says about promises to call back or to answer, and about keeping them."""
    moments = (event.promised_callback_at, event.called_back_at, event.promised_answer_at, event.answered_at)
    return None if moments == _NOTHING else Promises(*map(_at, moments))


_NOTHING = (None, None, None, None)


def earliest(one: Promises | None, other: Promises | None) -> Promises | None:
    """Of what two accounts of a contact promise and keep, the earliest moments."""
    if one is None or other is None:
        return other if one is None else one
    return Promises(
        _earlier(one.callback_by, other.callback_by),
        _earlier(one.called_back_at, other.called_back_at),
        _earlier(one.answer_by, other.answer_by),
        _earlier(one.answered_at, other.answered_at),
    )


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _at(moment: datetime | None) -> int | None:
    return None if moment is None else milliseconds(moment)
