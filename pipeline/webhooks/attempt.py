"""One attempt: a request, and what the receiver made of it. Whatever a receiver does costs bounded time and memory.

Rules
-----
- One deadline for everything: looking up, connecting, sending, waiting. Headers that trickle do not extend it.
- The status decides. Of the answer at most 16 KiB are read, for at most two seconds, and never unpacked; what was not
  read to its end closes the connection.
- No redirect is followed, no cookie kept, no proxy of the environment used.
"""

import asyncio
import errno
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import aiohttp
from msgspec import Struct

from pipeline import __version__
from pipeline.webhooks.addresses import connector
from pipeline.webhooks.shapes.requests import Outgoing
from pipeline.webhooks.texts import inert

Problem = Literal["", "timeout", "refused-address", "name", "connection", "tls", "protocol", "redirect"]
"""Why an attempt has no good answer beyond its status; a closed list, since it is a metric label."""
Verdict = Literal["delivered", "retry", "gone", "failed"]
MOST_BYTES: Final = 16 * 1024
"""How much of an answer is read."""
ANSWER_SECONDS: Final = 2.0
"""For how long an answer is read once its status is known."""
SHOWN: Final = 200
OVERLOADED: Final = frozenset({408, 425, 429})


class Answer(Struct, frozen=True, kw_only=True):
    """What an attempt came to."""

    status: int | None
    """The HTTP status; ``None`` when there was none."""
    error: Problem
    retry_after_ms: int | None
    """How long the receiver asked to be left alone."""
    seconds: float
    answer: str
    """The first 200 printable characters of the answer, for a person."""
    body: bytes = b""
    """As much of the answer as was read, for a shape that needs a second request."""


def client(allow_private: bool, listens: Collection[tuple[str, int]] = ()) -> aiohttp.ClientSession:
    """A client for attempts; one for endpoints that may be private, another for all others."""
    return aiohttp.ClientSession(
        connector=connector(allow_private, listens),
        headers={"User-Agent": f"loyalty-pipeline/{__version__}", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=MOST_BYTES,
    )


async def attempt(
    session: aiohttp.ClientSession, outgoing: Outgoing, signature_headers: dict[str, str], total_seconds: float
) -> Answer:
    """Send a request once. Raises nothing that a receiver can cause."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = began + total_seconds
    try:
        async with asyncio.timeout_at(deadline):
            response = await session.request(
                outgoing.method,
                outgoing.url,
                data=outgoing.body or None,
                headers={**outgoing.headers, **signature_headers},
                allow_redirects=False,
            )
    except (TimeoutError, aiohttp.ClientError, OSError) as failed:
        return Answer(status=None, error=_problem(failed), retry_after_ms=None, seconds=loop.time() - began, answer="")
    body = await _body(response, min(deadline, loop.time() + ANSWER_SECONDS))
    return Answer(
        status=response.status,
        error="redirect" if 300 <= response.status < 400 else "",
        retry_after_ms=retry_after_ms(response.headers.get("Retry-After"), datetime.now(UTC)),
        seconds=loop.time() - began,
        answer=inert(body[: 4 * SHOWN].decode(errors="replace"))[:SHOWN],
        body=body,
    )


async def _body(response: aiohttp.ClientResponse, deadline: float) -> bytes:
    """As much of an answer as comes until then, at most 16 KiB."""
    read = bytearray()
    try:
        with suppress(TimeoutError, aiohttp.ClientError, OSError):  # the status is known, and decides
            async with asyncio.timeout_at(deadline):
                while len(read) < MOST_BYTES and (chunk := await response.content.read(MOST_BYTES - len(read))):
                    read += chunk
    finally:
        response.close()
    return bytes(read)


def _problem(failed: Exception) -> Problem:
    match failed:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorDNSError():
            return "name"
        case aiohttp.ClientOSError(errno=errno.EACCES):
            return "refused-address"
        case aiohttp.ClientConnectionError() | OSError():
            return "connection"
        case _:
            return "protocol"


def retry_after_ms(value: str | None, now: datetime) -> int | None:
    """How long a receiver asks to be left alone, by ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return int(value[:9]) * 1000
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0, int((until - now).total_seconds() * 1000))


def verdict(answer: Answer) -> Verdict:
    """What an answer means for its message.

    ``delivered``: 2xx. ``gone``: 410, the endpoint is to be disabled. ``retry``: the receiver is away or overloaded (no
    answer, 408, 425, 429, 5xx), other messages to it would not fare better. ``failed``: the receiver refused this
    message (every other status, redirects included). Both of the last are tried again by the schedule: a refusal is
    often a receiver that does not know its secret yet.
    """
    status = answer.status
    if status is None or status in OVERLOADED or status >= 500:
        return "retry"
    if status == 410:
        return "gone"
    return "delivered" if 200 <= status < 300 and not answer.error else "failed"
