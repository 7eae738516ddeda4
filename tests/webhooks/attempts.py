"""Attempts for the tests."""

from collections.abc import Collection

from pipeline.webhooks.attempt import Answer, attempt, client
from pipeline.webhooks.shapes import Outgoing

SECONDS = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def to(url: str) -> Outgoing:
    """A small request."""
    return Outgoing(method="POST", url=url, headers={"X-Team": "care"}, body=b"{}")


async def tried(
    url: str, seconds: float = SECONDS, allow_private: bool = True, listens: Collection[tuple[str, int]] = ()
) -> Answer:
    """One attempt by a client of its own."""
    async with client(allow_private, listens) as session:
        return await attempt(session, to(url), {"webhook-id": "a1"}, seconds)
