"""Decodes bytes into events in one pass; bytes that cannot be used get a reason from a closed list.

Rules
-----
- Nothing but :class:`~pipeline.errors.BadEvent` leaves :func:`decode`, whatever the bytes are.
- Time is an argument: an event is "in the future" against the moment the broker appended it, so the same record gets
  the same verdict in every replay.
- The detail of a rejection names the field and the rule, never the value: it may be personal data.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, cast

import msgspec
from msgspec import NODEFAULT, Meta

from pipeline.core.contract.checks import TOLERANCE_MS, check
from pipeline.core.contract.events import (
    AlertOutcome,
    Binding,
    Event,
    Line,
    Purchase,
    ServiceContact,
    SurveyResponse,
    Text,
)
from pipeline.core.contract.moments import milliseconds
from pipeline.core.contract.spellings import reading_of
from pipeline.errors import BadEvent, Reason

Kind = Literal["purchase", "service_contact", "survey_response", "alert_outcome"]

MAX_BYTES: Final = 256 * 1024
"""The largest event that is read."""
MAX_DEPTH: Final = 32
"""The deepest nesting of arrays and objects that is read."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that anyone can have written: no such value, no text, nested without an end."""

_BACKSLASH: Final = 0x5C
_DELETE: Final = 0x7F
"""As numbers: asked for as a piece of bytes, each would cost half of what decoding does."""

Clean = Annotated[str, Meta(min_length=1, max_length=200)]
"""A text of which the bytes already said that it holds no control character."""

EVENTS: dict[Kind, type[Event]] = {
    "purchase": Purchase,
    "service_contact": ServiceContact,
    "survey_response": SurveyResponse,
    "alert_outcome": AlertOutcome,
}


class Decoded(NamedTuple):
    """An event, and whether it carried fields the contract does not know."""

    event: Event
    unplanned: bool


class Decoder:
    """Reads one kind of event; holds msgspec's compiled decoders.

    Control characters get into a JSON string only through a backslash (the delete character also as it is). Bytes that
    hold neither are read by a decoder that does not look for them, which takes half the time.
    """

    def __init__(self, kind: Kind) -> None:
        declared = EVENTS[kind]
        self._strict = msgspec.json.Decoder(_strict(declared))
        self._clean = msgspec.json.Decoder(_strict(declared, Clean))
        self._tolerant = msgspec.json.Decoder(declared)
        self._known, self._declared = _strict(declared), declared
        self._respelled = reading_of(declared)

    def __call__(self, value: bytes | None, appended_at: datetime) -> Decoded:
        """The event in ``value``, as the broker appended it at ``appended_at``.

        Raises
        ------
        BadEvent
            With a :class:`~pipeline.errors.Reason`; nothing else is ever raised.
        """
        return Decoded(*self.read(value, milliseconds(appended_at)))

    def read(self, value: bytes | None, appended_at_ms: int) -> tuple[Event, bool]:
        """The same as a plain tuple, for who reads many; ``appended_at_ms`` in milliseconds since 1970.

        Raises
        ------
        BadEvent
            With a :class:`~pipeline.errors.Reason`; nothing else is ever raised.
        """
        if not value:
            raise BadEvent(Reason.EMPTY, "the record has no value")
        if len(value) > MAX_BYTES:
            raise BadEvent(Reason.TOO_LARGE, f"{len(value)} bytes; the limit is {MAX_BYTES}")
        decoded = self._read(value)
        event = decoded[0]
        check(event, appended_at_ms + TOLERANCE_MS)
        return decoded

    def _read(self, value: bytes) -> tuple[Event, bool]:
        strict = self._strict if _BACKSLASH in value or _DELETE in value else self._clean
        try:
            return cast(Event, strict.decode(value)), False
        except UNREADABLE:
            pass  # either unknown fields or broken: the tolerant decoder tells them apart
        if _depth(value) > MAX_DEPTH:
            raise BadEvent(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
        try:
            return self._tolerant.decode(value), True
        except msgspec.ValidationError as broken:
            return self._read_otherwise(value, broken)
        except UNREADABLE as broken:
            raise BadEvent(Reason.UNPARSEABLE, _parse_problem(value, broken)) from None

    def _read_otherwise(self, value: bytes, broken: msgspec.ValidationError) -> tuple[Event, bool]:
        """What is the same event in another spelling; ``broken`` says what is wrong with what is not."""
        try:
            respelled = self._respelled(msgspec.json.decode(value))
            return msgspec.convert(respelled, self._declared), self._has_unknown(respelled)
        except UNREADABLE:
            raise _violation(str(broken)) from None

    def _has_unknown(self, respelled: Any) -> bool:
        try:
            msgspec.convert(respelled, self._known)
        except msgspec.ValidationError:
            return True
        return False


def _strict(declared: type[msgspec.Struct], text: Any = Text) -> type[msgspec.Struct]:
    """The same struct, refusing unknown fields, with ``text`` in place of :data:`~.events.Text`."""
    kinds: dict[Any, Any] = {Text: text, Text | None: text | None}
    if declared is Purchase:
        for part, most in ((Line, 1_000), (Binding, 5)):
            positions = Annotated[list[_strict(part, text)], Meta(max_length=most)]  # type: ignore[misc,valid-type]
            kinds[Annotated[list[part], Meta(max_length=most)]] = positions  # type: ignore[valid-type]
    fields = [
        (f.name, kinds[f.type], *(() if f.required else (f.default if f.default is not NODEFAULT else [],)))
        for f in msgspec.structs.fields(declared)
        if f.type in kinds
    ]
    return msgspec.defstruct(
        f"Strict{declared.__name__}", fields, bases=(declared,), forbid_unknown_fields=True, frozen=True, kw_only=True
    )


def _parse_problem(value: bytes, broken: Exception) -> str:
    try:
        value.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    position = re.search(r"byte \d+", str(broken))
    return f"not JSON ({position.group()})" if position else "not JSON"


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A JSON string, or an unfinished one up to the end; possessive, so that no input is read twice."""


def _depth(value: bytes) -> int:
    deepest = depth = 0
    for bracket in re.findall(rb"[\[{\]}]", _STRING.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_PLACE = re.compile(r" - at `([^`]+)`$")
_REASONS: tuple[tuple[str, Reason, str], ...] = (
    ("missing required field", Reason.REQUIRED_MISSING, "is missing"),
    ("Invalid enum value", Reason.OUT_OF_RANGE, "is not one of the declared values"),
    ("length", Reason.OUT_OF_RANGE, "has a length out of range"),
    ("> ", Reason.OUT_OF_RANGE, "is out of range"),
    ("< ", Reason.OUT_OF_RANGE, "is out of range"),
    (">=", Reason.OUT_OF_RANGE, "is out of range"),
    ("<=", Reason.OUT_OF_RANGE, "is out of range"),
    ("out of range", Reason.OUT_OF_RANGE, "is out of range"),
    ("matching regex", Reason.OUT_OF_RANGE, "does not have the declared form"),
    ("timezone", Reason.DATATYPE_MISMATCH, "has no time zone offset"),
    ("Invalid RFC3339", Reason.DATATYPE_MISMATCH, "is no RFC 3339 date and time"),
)


def _violation(message: str) -> BadEvent:
    """msgspec's message as one of our reasons, without the value it may quote."""
    place = _PLACE.search(message)
    where = place.group(1) if place else "$"
    for pattern, reason, claim in _REASONS:
        if pattern in message:
            if reason is Reason.REQUIRED_MISSING:
                field = re.search(r"field `([^`]+)`", message)
                where = f"{where}.{field.group(1)}" if field else where
            return BadEvent(reason, f"{where} {claim}")
    types = re.match(r"Expected `([^`]+)`, got `([^`]+)`", message)
    detail = (
        f"{where} should be {_plain(types.group(1))}, is {_plain(types.group(2))}"
        if types
        else f"{where} has the wrong type"
    )
    return BadEvent(Reason.DATATYPE_MISMATCH, detail)


_PLAIN = {"str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"}


def _plain(types: str) -> str:
    """msgspec's names of types in plain words."""
    return " or ".join(_PLAIN.get(name, f"an {name}") for name in types.split(" | "))
