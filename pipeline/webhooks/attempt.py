"""One attempt: a request, and what the receiver made of it. Whatever a receiver does costs bounded time and memory.

Rules
-----
- One deadline for everything: looking up, connecting, sending, waiting. Headers that trickle do not extend it.
- The status decides. Of the answer at most 16 KiB are read, for at most two seconds, and never unpacked; then the
  connection is closed.
- No redirect is followed, no cookie kept, no proxy of the environment used.
"""

from collections.abc import Collection
from typing import Final, Literal

import aiohttp
from msgspec import Struct

from pipeline.webhooks.addresses import connector
from pipeline.webhooks.shapes import Outgoing

Problem = Literal["", "timeout", "refused-address", "name", "connection", "tls", "protocol", "redirect"]
"""Why an attempt has no good answer beyond its status; a closed list, since it is a metric label."""
Verdict = Literal["delivered", "retry", "gone", "failed"]
MOST_BYTES: Final = 16 * 1024
"""How much of an answer is read."""


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
    """A client for attempts; one for endpoints that may be private, one for the others."""
    return aiohttp.ClientSession(
        connector=connector(allow_private, listens),
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
    raise NotImplementedError


def verdict(answer: Answer) -> Verdict:
    """What an answer means for its message.

    ``delivered``: 2xx. ``gone``: 410, the endpoint is to be disabled. ``retry``: the receiver is away or overloaded (no
    answer, 408, 425, 429, 5xx), other messages to it would not fare better. ``failed``: the receiver refused this
    message (every other status, redirects included). Both of the last are tried again by the schedule: a refusal is
    often a receiver that does not know its secret yet.
    """
    raise NotImplementedError
