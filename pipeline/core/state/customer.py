"""The state of one customer, and its encoding in the changelog.

Rules
-----
- Everything under "facts" is a function of the *set* of the customer's events: sums, minima, maxima and bounded
  "newest N" lists under a total order. Order of arrival cannot show in it.
- Everything under "delivery" belongs to the log, not to the customer: which records were applied, which event ids were
  seen lately. Two replicas that read in another order agree on the facts and may differ here.
- The value is bounded: see the limits below. Times are integer milliseconds since 1970 UTC, days are days since 1970,
  money is an integer count of 1/10,000 units.
"""

from itertools import takewhile
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.state.days import with_day
from pipeline.core.state.profile import Promises, Stated

STATE_VERSION = 2
"""The version of the encoded value; a reader refuses a version it does not know."""

DAY_MS: Final = 86_400_000
CONTACTS_KEPT: Final = 32
ANSWERS_KEPT: Final = 32
OUTCOMES_KEPT: Final = 32
CATEGORIES_KEPT: Final = 64
RECENT_IDS: Final = 128
"""So many events of a customer have their marks outside of the state's pieces at most (:mod:`.marks`)."""
MARK_BYTES: Final = 8
"""What is kept of an event's topic and id."""


Status = Literal["open", "resolved", "closed", "withdrawn"]
Severity = Literal["medium", "high", "critical"]


class Contact(Struct, array_like=True):
    """A contact with what all its stages said, the newest stage winning where they differ."""

    opened_at: int
    contact_id: str
    issue_id: str
    last_at: int
    last_event: str
    channel: str
    kind: str
    origin: str
    resolved: bool
    waiting_seconds: float
    transfers: int
    information_repeated: bool
    self_service_first: bool
    events: int
    synthetic: bool
    promises: Promises | None = None
    backfill: bool = False
    """Known from imported history only."""


class Answer(Struct, array_like=True):
    """A survey answer: its instrument, its score on its scale, and the contact it refers to."""

    at: int
    event_id: str
    instrument: str
    score: int
    low: int
    high: int
    contact_id: str | None = None
    backfill: bool = False


class Outcome(Struct, array_like=True):
    """What the desk did about an alert, the newest report of it."""

    at: int
    event_id: str
    alert_id: str
    action: str
    result: str


class AlertState(Struct, array_like=True):
    """What the desk was last told about one issue."""

    issue_id: str
    alert_id: str
    status: Status
    severity: Severity
    raised_at: int
    content: int
    """64 bits that stand for everything the message said, so that news can be told from no news."""
    backfill: bool = False
    """The desk was not told: the issue is known from imported history only."""


class Customer(Struct, kw_only=True, array_like=True, omit_defaults=True):
    """The state of one customer. Encoded as an array in this order: new fields go to the end."""

    version: int = STATE_VERSION
    customer_id: str

    # delivery
    applied: dict[str, int] = {}
    """The last offset applied, by topic."""
    recent: bytes = b""
    """Marks of the newest events, :data:`MARK_BYTES` each, oldest first, as they arrived."""

    # facts: the whole
    events: int = 0
    last_event_at: int = 0
    synthetic_events: int = 0

    # facts: purchases
    first_purchase_at: int | None = None
    last_purchase_at: int | None = None
    purchases: int = 0
    refunds: int = 0
    incentivised: int = 0
    obligated: int = 0
    occasions_from: int = 0
    occasions: bytes = b""
    spent: dict[str, int] = {}
    refunded: dict[str, int] = {}
    channels: dict[str, int] = {}
    categories: dict[str, int] = {}

    # facts: contacts, answers, outcomes
    contact_events: int = 0
    survey_answers: int = 0
    contacts: list[Contact] = []
    answers: list[Answer] = []
    latest: dict[str, Answer] = {}
    alerts: list[AlertState] = []
    outcomes: list[Outcome] = []

    # time
    looked_at: int = 0
    """The last moment at which open alerts were looked at again because time had passed."""
    # facts: what only some sources know
    stated: Stated | None = None
    # delivery
    moved: int = -1
    """How many marks have moved out of ``recent`` into pieces; the complement (``~n``) where marks from before topics
    were part of them are, or may be, among all of them."""

    @property
    def is_prospect(self) -> bool:
        """No purchase yet: no loyalty, no risk, no alert."""
        return self.first_purchase_at is None


def occasion_bits(customer: Customer) -> int:
    """The days with a voluntary purchase: bit ``n`` is the day ``occasions_from + n``."""
    return int.from_bytes(customer.occasions, "little")


def repeat_occasions(customer: Customer, until_day: int | None = None) -> int:
    """``x``: days with a voluntary purchase after the first such day, up to and including ``until_day``.

    An occasion is a calendar day in UTC, as in Fader & Hardie's CDNOW summary; obligated purchases do not count.
    """
    bits = occasion_bits(customer)
    if until_day is not None:
        bits &= (1 << max(0, until_day - customer.occasions_from + 1)) - 1
    return max(0, bits.bit_count() - 1)


def recency_days(customer: Customer) -> int:
    """``t_x``: days from the first to the last voluntary purchase occasion."""
    return max(0, occasion_bits(customer).bit_length() - 1)


def occasion_after(customer: Customer, day: int) -> int | None:
    """The first day after ``day`` with a voluntary purchase."""
    bits = occasion_bits(customer) >> max(0, day + 1 - customer.occasions_from)
    if not bits:
        return None
    return max(day + 1, customer.occasions_from) + (bits & -bits).bit_length() - 1


def with_occasion(customer: Customer, day: int) -> None:
    """Note a voluntary purchase on ``day`` in a customer that is being built."""
    customer.occasions_from, customer.occasions = with_day(customer.occasions_from, customer.occasions, day)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Customer)


def encode_state(customer: Customer) -> bytes:
    """The customer as a changelog value: MessagePack, described by ``schemas/events/customer_state.v2.json``."""
    return _encoder.encode(customer)


def decode_state(value: bytes) -> Customer:
    """The inverse of :func:`encode_state`.

    Raises
    ------
    ValueError
        The value is of a version this program does not know, or is no state at all.
    """
    try:
        customer = _decoder.decode(value)
    except msgspec.ValidationError:
        _check_version(value)
        raise
    if customer.version != STATE_VERSION:
        raise ValueError(f"customer state has version {customer.version}; this program reads version {STATE_VERSION}")
    return customer


class _Applied(Struct, array_like=True):
    """The beginning of an encoded state."""

    version: int
    customer_id: str
    applied: dict[str, int] = {}


_GLANCED = {"last_event_at": (int, 0), "alerts": (list[AlertState], [])}
_glance_decoder = msgspec.msgpack.Decoder(
    msgspec.defstruct(
        "_Glance",
        [(name, *_GLANCED.get(name, (msgspec.Raw, msgspec.Raw()))) for name in Customer.__struct_fields__],
        array_like=True,
    )
)


class Glance(NamedTuple):
    """What is read of an encoded state without reading all of it."""

    last_event_at: int = 0
    has_open_alert: bool = False


def glance(value: bytes) -> Glance:
    """When a customer was last heard of, and whether an alert is open; nothing of what is no state."""
    try:
        seen: Any = _glance_decoder.decode(value)
    except UNREADABLE:
        return Glance()
    return Glance(seen.last_event_at, any(alert.status == "open" for alert in seen.alerts))


_applied_decoder = msgspec.msgpack.Decoder(_Applied)


def applied_of(value: bytes) -> dict[str, int] | None:
    """The last offset applied to an encoded state, by topic; ``None`` when it is no state."""
    try:
        return _applied_decoder.decode(value).applied
    except UNREADABLE:
        return None


def is_newer(value: bytes, before: bytes) -> bool:
    """Whether every record that was applied to ``before`` was applied to ``value``; what is no state is not newer."""
    was = applied_of(before)
    now = applied_of(value)
    if was is None or now is None:
        return was is None
    return all(now.get(topic, -1) >= offset for topic, offset in was.items())


def _check_version(value: bytes) -> None:
    """Version 1 was an object, not an array."""
    try:
        version = msgspec.msgpack.decode(value, type=dict[str, Any]).get("version", 1)
    except UNREADABLE:
        return
    raise ValueError(f"customer state has version {version}; this program reads version {STATE_VERSION}")


def encode_named(customer: Customer) -> bytes:
    """The customer as a JSON object with the names of its fields, for people and the warehouse."""
    return msgspec.json.encode(msgspec.structs.asdict(customer))


def decode_named(value: bytes | str) -> Customer:
    """The inverse of :func:`encode_named`; an older object may lack the newest fields.

    Raises
    ------
    msgspec.MsgspecError
        It is no such object.
    """
    named = msgspec.json.decode(value, type=dict[str, Any])
    return msgspec.convert(
        [named[name] for name in takewhile(named.__contains__, Customer.__struct_fields__)], Customer
    )
