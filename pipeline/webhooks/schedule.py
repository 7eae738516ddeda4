"""When the next attempt of a message is due. Pure: the moment and the draw are arguments.

Rules
-----
- Ten attempts over about three days, as Standard Webhooks recommends; then the message is given up.
- Jitter only makes an attempt later, by up to a fifth of its delay, so that receivers are not all tried at once.
- A receiver's ``Retry-After`` is obeyed where it is later than the own delay, up to two hours more.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md ("Deliverability and
reliability")
"""

from typing import Final

DELAYS_SECONDS: Final = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""The delay before each attempt, counted from the end of the one before it."""
JITTER: Final = 0.2
MOST_PATIENCE_MS: Final = 2 * 3_600_000
"""How much later than by the own delay a receiver may ask to be tried again."""


def next_attempt(attempts: int, now_ms: int, draw: float, retry_after_ms: int | None = None) -> int | None:
    """When to try again after so many attempts; ``None`` when the message is given up.

    Parameters
    ----------
    attempts
        How many attempts there were, 0 for a new message.
    now_ms
        The moment of the last attempt's end, milliseconds since 1970.
    draw
        A random number, 0 to below 1.
    retry_after_ms
        How long the receiver asked to be left alone from ``now_ms`` on.
    """
    if not 0 <= attempts < len(DELAYS_SECONDS):
        return None
    delay = DELAYS_SECONDS[attempts] * 1000
    backoff = delay + int(delay * JITTER * draw)
    asked = min(retry_after_ms or 0, backoff + MOST_PATIENCE_MS)
    return now_ms + max(backoff, asked)
