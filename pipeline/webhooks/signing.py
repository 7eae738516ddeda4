"""Signatures of webhooks by Standard Webhooks 1.0.0, made and checked.

Rules
-----
- Signed is ``id.timestamp.body``: the id and the body are the same in every attempt, the timestamp is the attempt's.
- While a secret is being rotated there is one signature per valid secret, separated by spaces, the newest first.
- A receiver refuses what is more than five minutes old or ahead, which makes a recorded request worthless later.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import re
from binascii import Error
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import LoyaltyError, Refused

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX: Final = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
"""How long a secret is, by the specification."""
OVERLAP = timedelta(hours=24)
"""How long a secret stays valid after a newer one was made."""
TOLERANCE_SECONDS = 300
_SECONDS = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[!-~]{1,256}")


class BadSignature(LoyaltyError):
    """A request was not signed with a valid secret, or not now. Says what is wrong, never what would be right."""


class Secret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shared secret, and from when to when it signs. Never shown."""

    value: str
    """``whsec_`` and 24 to 64 bytes in Base64."""
    since: datetime
    until: datetime | None = None
    """When it stops being valid; ``None`` for the newest."""

    def __repr__(self) -> str:
        """What may be read in a log: everything but the secret."""
        return f"Secret(since={self.since}, until={self.until})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich; msgspec's own would show the value."""
        return [("since", self.since), ("until", self.until)]


def new_secret(now: datetime) -> Secret:
    """A random secret of 32 bytes."""
    return Secret(value=PREFIX + base64.b64encode(token_bytes(32)).decode(), since=now)


def key_of(secret: Secret) -> bytes:
    """The bytes a secret stands for.

    Raises
    ------
    Refused
        It is no secret by the specification.
    """
    try:
        key = base64.b64decode(secret.value.removeprefix(PREFIX), validate=True)
    except (Error, ValueError):
        key = b""
    if not (secret.value.startswith(PREFIX) and LEAST_BYTES <= len(key) <= MOST_BYTES):
        raise Refused(
            f"a webhook secret is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in Base64; "
            "let `loyalty webhooks rotate` make one"
        )
    return key


def valid(secrets: Iterable[Secret], at: datetime) -> list[Secret]:
    """The secrets that sign at a moment, the newest first; a clock set back makes none invalid."""
    return [secret for secret in secrets if secret.until is None or at < secret.until]


def signed(message_id: str, at: datetime, body: bytes, secrets: Sequence[Secret]) -> dict[str, str]:
    """The three headers of an attempt at the moment ``at``, signed with every valid secret.

    Raises
    ------
    Refused
        No secret is valid.
    """
    keys = [key_of(secret) for secret in valid(secrets, at)]
    if not keys:
        raise Refused("no secret of the endpoint is valid any more; make one with `loyalty webhooks rotate`")
    timestamp = str(_seconds(at))
    signatures = [f"v1,{base64.b64encode(_digest(key, message_id, timestamp, body)).decode()}" for key in keys]
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[Secret],
    now: datetime,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> None:
    """Check that a request was signed with a secret that is valid now, at about this time.

    Raises
    ------
    BadSignature
        It was not.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = lower.get(ID, ""), lower.get(TIMESTAMP, "")
    if not (_ID.fullmatch(message_id) and _SECONDS.fullmatch(timestamp)):
        raise BadSignature(f"{ID} or {TIMESTAMP} is missing or malformed")
    if abs(_seconds(now) - int(timestamp)) > tolerance_seconds:
        raise BadSignature(f"{TIMESTAMP} is more than {tolerance_seconds} seconds from now")
    given = _signatures(lower.get(SIGNATURE, ""))
    wanted = [_digest(key_of(secret), message_id, timestamp, body) for secret in valid(secrets, now)]
    matches = [hmac.compare_digest(digest, signature) for digest in wanted for signature in given]
    if not any(matches):
        raise BadSignature(f"no {SIGNATURE} fits the body and a valid secret")


def _signatures(header: str) -> list[bytes]:
    """The signatures of version 1 in a header; other versions and what is no Base64 count as none."""
    found = []
    for versioned in header.split(" "):
        version, _, text = versioned.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except (Error, ValueError):
                continue
    return found


def _seconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a moment without an offset is a different one on every machine")
    return int(at.timestamp())


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, b".".join((message_id.encode(), timestamp.encode(), body)), sha256)
