"""The profile of a customer: optional facts that only some sources know; the state keeps these, or nothing at all.

Times are integer milliseconds since 1970 UTC, days are days since 1970.
"""

from msgspec import Struct

from pipeline.core.contract.events import BindingKind, Consent


class BindingState(Struct, array_like=True):
    """What binds a customer, by the newest event that says so: until when, and the last moment to give notice."""

    at: int
    event_id: str
    ends_at: int | None
    notice_by: int | None


class ConsentState(Struct, array_like=True):
    """Whether the customer may be asked: what the event that counts said, and when it was given."""

    at: int
    event_id: str
    status: Consent


class MembershipState(Struct, array_like=True):
    """Whether the customer is in the programme, by the newest purchase that says so."""

    at: int
    event_id: str
    member: bool


class ReferralState(Struct, array_like=True):
    """The customer by whom this one was referred, by the earliest purchase that says so."""

    at: int
    event_id: str
    customer_id: str


class Stated(Struct, array_like=True):
    """What sources stated about a customer beyond what was bought, asked and answered."""

    bindings: dict[BindingKind, BindingState] = {}
    """By kind, the newest of each."""
    consent: ConsentState | None = None
    membership: MembershipState | None = None
    member_purchases: int = 0
    """Purchases that said the customer was in the programme."""
    referred_by: ReferralState | None = None
    deliveries_on_time: int = 0
    deliveries_late: int = 0
    incentives_from: int = 0
    incentives: bytes = b""
    """Bitmap of the days with a voluntary purchase that had an incentive, from ``incentives_from`` on."""


class Promises(Struct, array_like=True):
    """What was promised about a contact and what was done about it; of one that is moved the earliest moment counts."""

    callback_by: int | None = None
    called_back_at: int | None = None
    answer_by: int | None = None
    answered_at: int | None = None
