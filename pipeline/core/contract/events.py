"""The four input events: their fields, closed sets of values, and limits.

The JSON Schemas under ``schemas/events`` say the same in the language of producers; a test runs every example and
every broken example through both. Fields that are declared are strict; unknown fields are tolerated and counted.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from pipeline.core.contract.currencies import AMOUNT_LIMIT, AMOUNT_PATTERN, Currency

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
"""An identifier or a name: 1 to 200 characters, no control characters."""
Instant = Annotated[datetime, Meta(tz=True)]
"""RFC 3339 with an offset; the source's clock."""
Count = Annotated[int, Meta(ge=0, le=100_000)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]

Amount = Annotated[str, Meta(pattern=AMOUNT_PATTERN)] | Annotated[float, Meta(gt=-AMOUNT_LIMIT, lt=AMOUNT_LIMIT)]
"""Money, as a string or a JSON number; :func:`pipeline.core.contract.currencies.to_units` makes it exact."""

PurchaseChannel = Literal["store", "web", "app", "phone", "marketplace", "partner", "other"]
ContactChannel = Literal["phone", "email", "chat", "web", "app", "social", "store", "letter", "other"]
ContactKind = Literal["complaint", "question", "repair", "cancellation", "information"]
ProblemOrigin = Literal["product", "delivery", "billing", "website", "service", "contract", "other", "unknown"]
Stage = Literal["opened", "updated", "resolved"]
Instrument = Literal["nps", "ces1", "ces2", "csat", "repurchase_intent"]
Action = Literal["called", "emailed", "wrote", "visited", "none"]
Result = Literal["retained", "lost", "unreachable", "not_needed", "in_progress"]
OutcomeReason = Literal[
    "false_alarm",
    "solved_itself",
    "already_handled",
    "problem_solved",
    "compensated",
    "price",
    "competitor",
    "no_longer_needed",
    "disappointed",
    "no_answer",
    "wrong_contact_details",
    "wants_no_contact",
    "other",
]
BindingKind = Literal["situational", "technical", "contractual", "economic", "emotional"]
Consent = Literal["granted", "withdrawn", "existing_customer"]
"""May we ask: they said yes, they said no, or the exception for existing customers (§ 7(3) UWG) is claimed."""


class Common(Struct, frozen=True, kw_only=True):
    """What every event carries. Its topic and ``event_id`` are the identity of an event; its content never is."""

    topic_code: ClassVar[bytes] = b"\x00"
    """What stands for the event's topic (:data:`pipeline.core.state.marks.TOPIC_OF`)."""
    event_id: Text
    customer_id: Text
    occurred_at: Instant
    source: Text | None = None
    synthetic: bool = False
    backfill: bool = False
    """Imported history: nobody is told anything because of it."""
    survey_consent: Consent | None = None
    survey_consent_at: Instant | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One position of a purchase; a category that is new to the customer is a cross-sell."""

    category: Text
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Binding(Struct, frozen=True, kw_only=True):
    """What binds a customer, as the source knows it: of which kind, until when, and the last day to give notice."""

    kind: BindingKind
    ends_at: Instant | None = None
    notice_by: Instant | None = None


class Purchase(Common, frozen=True, kw_only=True):
    """A purchase, or a refund: a negative amount that names the order it refers to."""

    topic_code: ClassVar[bytes] = b"\x01"
    order_id: Text
    amount: Amount
    currency: Currency
    channel: PurchaseChannel = "other"
    lines: Annotated[list[Line], Meta(max_length=1_000)] = []
    incentivised: bool = False
    obligated: bool = False
    refund_of: Text | None = None
    bindings: Annotated[list[Binding], Meta(max_length=5)] = []
    programme_member: bool | None = None
    referred_by: Text | None = None
    promised_delivery_at: Instant | None = None
    delivered_at: Instant | None = None


class ServiceContact(Common, frozen=True, kw_only=True):
    """One stage of a contact. Contacts about the same issue share ``issue_id``; each stage says all that is known."""

    topic_code: ClassVar[bytes] = b"\x02"
    contact_id: Text
    issue_id: Text
    stage: Stage
    opened_at: Instant
    channel: ContactChannel
    kind: ContactKind
    origin: ProblemOrigin = "unknown"
    closed_at: Instant | None = None
    resolved: bool = False
    waiting_seconds: Seconds = 0.0
    transfers: Count = 0
    promised_callback_at: Instant | None = None
    self_service_first: bool = False
    information_repeated: bool = False
    called_back_at: Instant | None = None
    promised_answer_at: Instant | None = None
    answered_at: Instant | None = None


class SurveyResponse(Common, frozen=True, kw_only=True):
    """One answer. ``csat`` and ``repurchase_intent`` state their scale; the others have a fixed one."""

    topic_code: ClassVar[bytes] = b"\x03"
    instrument: Instrument
    score: Annotated[int, Meta(ge=0, le=100)]
    scale_min: Annotated[int, Meta(ge=0, le=100)] | None = None
    scale_max: Annotated[int, Meta(ge=0, le=100)] | None = None
    question_version: Text | None = None
    verbatim: Annotated[str, Meta(max_length=10_000)] | None = None
    contact_id: Text | None = None
    order_id: Text | None = None


class AlertOutcome(Common, frozen=True, kw_only=True):
    """What the desk did about an alert, and what came of it."""

    topic_code: ClassVar[bytes] = b"\x04"
    alert_id: Text
    action: Action
    result: Result
    reason: OutcomeReason | None = None
    """Why; one of those that go with the result (:data:`REASONS_OF`)."""
    desk: Text | None = None
    note: Annotated[str, Meta(max_length=2_000)] | None = None


Event = Purchase | ServiceContact | SurveyResponse | AlertOutcome

SCALES: dict[Instrument, tuple[int, int]] = {"nps": (0, 10), "ces1": (1, 5), "ces2": (1, 7)}
"""Instruments whose scale is fixed by their definition."""

REASONS_OF: dict[Result, tuple[OutcomeReason, ...]] = {
    "not_needed": ("false_alarm", "solved_itself", "already_handled", "other"),
    "retained": ("problem_solved", "compensated", "other"),
    "lost": ("price", "competitor", "no_longer_needed", "disappointed", "other"),
    "unreachable": ("no_answer", "wrong_contact_details", "wants_no_contact", "other"),
    "in_progress": ("other",),
}
"""The reasons that go with each result. A false alarm is an alert about a customer who was never at risk."""
