"""A message that an endpoint has yet to get: made of an alert, written to ``webhook-pending``, and read back. Pure.

Rules
-----
- The id of a message is a hash of its alert and its place in the log, so that a restart makes the same one again.
- ``sequence`` is the place in the log, counted from 1: of two messages about an alert the later has the greater one.
- Language and shape are those of the moment at which the alert was read. So the body of a message never changes, and a
  message for a shape that its endpoint no longer has is given up.
- An alert that is held out or known from imported history leaves for nobody.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.risk.messages import ChurnAlert
from pipeline.webhooks.catalogue import Language
from pipeline.webhooks.endpoints import Endpoint, Shape

Silence = Literal["held_out", "backfill", "erased", "unreadable"]
"""Why nobody is told of an alert."""
SEPARATOR = b"/"


class PendingRecord(Struct, frozen=True, kw_only=True):
    """The value of a record of ``webhook-pending``; a record without a value says that nothing is pending any more."""

    endpoint: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
    message_id: Annotated[str, Meta(pattern=r"^msg_[0-9a-f]{32}\Z")]
    sequence: Annotated[int, Meta(ge=1)]
    shape: Shape
    language: Language
    appended_at_ms: int
    """When the broker received the alert."""
    attempts: Annotated[int, Meta(ge=0)] = 0
    due_at_ms: int = 0
    """When the next attempt is due, milliseconds since 1970; 0: at once."""
    alert: Raw
    """The message to the desk as it stands in ``churn-alerts``."""


@dataclass(slots=True, kw_only=True)
class Pending:
    """One message for one endpoint, as it waits in memory."""

    endpoint: str
    message_id: str
    sequence: int
    partition: int
    alert_id: str
    customer_id: str
    alert: bytes
    shape: Shape
    language: Language
    appended_at_ms: int
    attempts: int = 0
    due: float = 0.0
    """When the next attempt is due, by the monotonic clock in seconds."""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return key_of(self.endpoint, self.message_id)


_alerts = msgspec.json.Decoder(ChurnAlert)
_records = msgspec.json.Decoder(PendingRecord)
_encoder = msgspec.json.Encoder()


def message_id(alert_id: str, sequence: int) -> str:
    """The id of a message, the same in every attempt and for every endpoint."""
    return f"msg_{sha256(f'{alert_id}|{sequence}'.encode()).hexdigest()[:32]}"


def key_of(endpoint: str, message: str) -> bytes:
    """The key of a delivery in ``webhook-pending``."""
    return endpoint.encode() + SEPARATOR + message.encode()


def alert_in(value: bytes | None) -> ChurnAlert | None:
    """The alert in a record, ``None`` where somebody else wrote it."""
    try:
        return _alerts.decode(value or b"")
    except UNREADABLE:
        return None


def silence_about(alert: ChurnAlert | None) -> Silence | None:
    """Why nobody is told of an alert, ``None`` when somebody may be."""
    if alert is None:
        return "unreadable"
    if alert.held_out:
        return "held_out"
    return "backfill" if alert.backfill else None


def pending_for(
    endpoint: Endpoint, alert: ChurnAlert, value: bytes, partition: int, offset: int, appended_at_ms: int
) -> Pending:
    """What an endpoint is to get of the alert that lies at an offset (ours) of a partition."""
    sequence = offset + 1
    return Pending(
        endpoint=endpoint.id,
        message_id=message_id(alert.alert_id, sequence),
        sequence=sequence,
        partition=partition,
        alert_id=alert.alert_id,
        customer_id=alert.customer_id,
        alert=value,
        shape=endpoint.shape,
        language=endpoint.language,
        appended_at_ms=appended_at_ms,
    )


def encoded(pending: Pending, due_at_ms: int = 0) -> bytes:
    """The value of its record."""
    return _encoder.encode(
        PendingRecord(
            endpoint=pending.endpoint,
            message_id=pending.message_id,
            sequence=pending.sequence,
            shape=pending.shape,
            language=pending.language,
            appended_at_ms=pending.appended_at_ms,
            attempts=pending.attempts,
            due_at_ms=due_at_ms,
            alert=Raw(pending.alert),
        )
    )


def decoded(value: bytes, partition: int, now_ms: int, now: float, longest: float) -> Pending | None:
    """A delivery as its record has it, ``None`` where somebody else wrote it.

    Parameters
    ----------
    now_ms, now
        The moment by the wall clock, in milliseconds, and by the monotonic clock, in seconds.
    longest
        How many seconds it waits at most: the wall clock may have been set back since the record was written.
    """
    try:
        record = _records.decode(value)
        alert = _alerts.decode(record.alert)
    except UNREADABLE:
        return None
    wait = min(max(0.0, (record.due_at_ms - now_ms) / 1000), longest)
    return Pending(
        endpoint=record.endpoint,
        message_id=record.message_id,
        sequence=record.sequence,
        partition=partition,
        alert_id=alert.alert_id,
        customer_id=alert.customer_id,
        alert=bytes(record.alert),
        shape=record.shape,
        language=record.language,
        appended_at_ms=record.appended_at_ms,
        attempts=record.attempts,
        due=now + wait if wait else now,
    )
