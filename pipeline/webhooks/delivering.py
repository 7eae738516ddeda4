"""A delivery from its first request to the last answer: what a queue calls, whatever the shape."""

from collections.abc import Callable
from datetime import datetime

import aiohttp

from pipeline.webhooks.attempt import Answer
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes import Delivery


async def deliver(
    session: aiohttp.ClientSession,
    delivery: Delivery,
    endpoint: Endpoint,
    clock: Callable[[], datetime],
    total_seconds: float,
) -> Answer | None:
    """Make all requests of a delivery, each signed as it leaves; the answer is that of the last one that was made.

    ``None``: the shape says nothing for this transition. Repeating it is harmless for every shape.
    """
    raise NotImplementedError
