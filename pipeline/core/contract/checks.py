"""Checks of an event beyond the types of its fields: plausible times, and fields that do not contradict each other.

Details of a rejection name the field and the rule, never the value.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.core.contract.currencies import to_units
from pipeline.core.contract.events import (
    REASONS_OF,
    SCALES,
    AlertOutcome,
    Event,
    Purchase,
    ServiceContact,
    SurveyResponse,
)
from pipeline.core.contract.moments import milliseconds
from pipeline.errors import BadEvent, Reason

CLOCK_TOLERANCE: Final = timedelta(days=1)
"""How far a source's clock may run ahead of the broker's."""
TOLERANCE_MS: Final = CLOCK_TOLERANCE // timedelta(milliseconds=1)
"""The same in milliseconds."""
LONGEST_PROMISE: Final = timedelta(days=366)
"""How far ahead a call back, an answer or a delivery can be promised."""
LONGEST_BINDING: Final = timedelta(days=36_525)
"""How far ahead what binds a customer can end: a hundred years."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check(event: Event, latest: int) -> None:
    """Check an event; nothing can have happened after ``latest``, :data:`TOLERANCE_MS` after the broker got it.

    ``latest`` is in milliseconds since 1970, and less than a millisecond after it is not after it.

    Raises
    ------
    BadEvent
        Something in it cannot be.
    """
    occurred_at = milliseconds(event.occurred_at)
    if occurred_at > latest:
        raise BadEvent(Reason.FUTURE, "$.occurred_at is more than a day after the broker received the event")
    if occurred_at < 0:
        raise BadEvent(Reason.OUT_OF_RANGE, "$.occurred_at is before 1970")
    if event.survey_consent_at is not None:
        _check_consent(event)
    match event:
        case Purchase():
            _check_purchase(event, latest)
        case ServiceContact():
            _check_contact(event)
        case SurveyResponse():
            _check_score(event)
        case AlertOutcome():
            if event.reason is not None and event.reason not in REASONS_OF[event.result]:
                raise BadEvent(Reason.INCONSISTENT, "$.reason does not go with $.result")


def _check_consent(event: Event) -> None:
    if event.survey_consent is None:
        raise BadEvent(Reason.REQUIRED_MISSING, "$.survey_consent is missing, but $.survey_consent_at is given")
    if event.survey_consent_at is not None:
        _check_past("survey_consent_at", event.survey_consent_at, event.occurred_at)


def _check_past(name: str, moment: datetime, occurred_at: datetime) -> None:
    """Something that has happened when the event says so."""
    if EARLIEST <= moment <= occurred_at:
        return
    if moment < EARLIEST:
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} is before 1970")
    if moment > occurred_at + CLOCK_TOLERANCE:
        raise BadEvent(Reason.INCONSISTENT, f"$.{name} is more than a day after $.occurred_at")


def _check_promise(name: str, promised: datetime, occurred_at: datetime) -> None:
    if not EARLIEST <= promised <= occurred_at + LONGEST_PROMISE:
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.{name} is before 1970 or more than a year away")


def _check_purchase(event: Purchase, latest: int) -> None:
    amount = event.amount
    if not isinstance(amount, str) or amount[0] == "-" or event.refund_of is not None:
        _check_refund(event)
    if event.bindings:
        _check_bindings(event)
    if event.referred_by == event.customer_id:
        raise BadEvent(Reason.INCONSISTENT, "$.referred_by is the customer themselves")
    if event.promised_delivery_at is not None or event.delivered_at is not None:
        _check_delivery(event, latest)


def _check_refund(event: Purchase) -> None:
    """A negative amount and the order it refunds come together."""
    try:
        units = to_units(event.amount)
    except ValueError:
        raise BadEvent(Reason.OUT_OF_RANGE, "$.amount has more than four decimals") from None
    if units < 0 and event.refund_of is None:
        raise BadEvent(Reason.REQUIRED_MISSING, "$.refund_of is missing: a negative amount names the order it refunds")
    if units >= 0 and event.refund_of is not None:
        raise BadEvent(Reason.INCONSISTENT, "$.refund_of is given, but $.amount is not negative")


def _check_delivery(event: Purchase, latest: int) -> None:
    """A delivery is later than its purchase, and may have happened when the event arrives."""
    if event.promised_delivery_at is not None:
        _check_promise("promised_delivery_at", event.promised_delivery_at, event.occurred_at)
    delivered = event.delivered_at
    if delivered is not None and delivered < EARLIEST:
        raise BadEvent(Reason.OUT_OF_RANGE, "$.delivered_at is before 1970")
    if delivered is not None and milliseconds(delivered) > latest:
        raise BadEvent(Reason.FUTURE, "$.delivered_at is more than a day after the broker received the event")


def _check_bindings(event: Purchase) -> None:
    if len({binding.kind for binding in event.bindings}) < len(event.bindings):
        raise BadEvent(Reason.INCONSISTENT, "$.bindings names a kind twice")
    for binding in event.bindings:
        for name, moment in (("ends_at", binding.ends_at), ("notice_by", binding.notice_by)):
            if moment is not None and not EARLIEST <= moment <= event.occurred_at + LONGEST_BINDING:
                raise BadEvent(Reason.OUT_OF_RANGE, f"$.bindings[...].{name} is before 1970 or over 100 years away")
        if binding.notice_by is not None and binding.kind != "contractual":
            raise BadEvent(Reason.INCONSISTENT, "$.bindings[...].notice_by is given, but only a contract has it")
        if binding.notice_by is not None and binding.ends_at is not None and binding.notice_by > binding.ends_at:
            raise BadEvent(Reason.INCONSISTENT, "$.bindings[...].notice_by is after $.bindings[...].ends_at")


def _check_contact(event: ServiceContact) -> None:
    occurred_at = event.occurred_at
    _check_past("opened_at", event.opened_at, occurred_at)
    if event.closed_at is not None:
        _check_past("closed_at", event.closed_at, occurred_at)
    if event.called_back_at is not None:
        _check_past("called_back_at", event.called_back_at, occurred_at)
    if event.answered_at is not None:
        _check_past("answered_at", event.answered_at, occurred_at)
    if event.promised_callback_at is not None:
        _check_promise("promised_callback_at", event.promised_callback_at, occurred_at)
    if event.promised_answer_at is not None:
        _check_promise("promised_answer_at", event.promised_answer_at, occurred_at)


def _check_score(event: SurveyResponse) -> None:
    low, high = SCALES.get(event.instrument) or (event.scale_min, event.scale_max)
    if low is None or high is None:
        missing = "scale_min" if low is None else "scale_max"
        raise BadEvent(Reason.REQUIRED_MISSING, f"$.{missing} is missing: {event.instrument} states its scale")
    if low >= high:
        raise BadEvent(Reason.INCONSISTENT, "$.scale_min is not below $.scale_max")
    if not low <= event.score <= high:
        raise BadEvent(Reason.OUT_OF_RANGE, f"$.score is outside {low} to {high}")
