"""A delivery from its first request to the last answer: what a queue calls, whatever the shape."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import aiohttp
import msgspec

from pipeline.webhooks import signing
from pipeline.webhooks.attempt import Answer, attempt, verdict
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes import UNSIGNED, Delivery, Outgoing, Unintelligible, next_request


async def deliver(
    session: aiohttp.ClientSession,
    delivery: Delivery,
    endpoint: Endpoint,
    clock: Callable[[], datetime],
    total_seconds: float,
) -> Answer | None:
    """Make all requests of a delivery, each signed as it leaves; the answer is that of the last one that was made.

    ``None``: the shape says nothing for this transition. To repeat it adds nothing at receivers that keep episodes.

    Raises
    ------
    Refused
        The endpoint has no valid secret.
    """
    deadline = asyncio.get_running_loop().time() + total_seconds
    answers: list[bytes] = []
    latest: Answer | None = None
    while True:
        try:
            outgoing = next_request(delivery, endpoint, answers)
        except Unintelligible:
            assert latest is not None  # noqa: S101 -- it is about the latest answer
            return msgspec.structs.replace(latest, error="protocol")
        if outgoing is None:
            return latest
        remaining = deadline - asyncio.get_running_loop().time()
        latest = await attempt(session, outgoing, _signature(delivery, endpoint, outgoing, clock()), remaining)
        if verdict(latest) != "delivered":
            return latest
        answers.append(latest.body)


def _signature(delivery: Delivery, endpoint: Endpoint, outgoing: Outgoing, now: datetime) -> dict[str, str]:
    if endpoint.shape in UNSIGNED or not endpoint.secrets:
        return {}
    return signing.signed(delivery.message_id, now, outgoing.body, endpoint.secrets)
