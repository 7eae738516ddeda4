"""The step every stateful engine runs: decode, fold, encode, all from ``pipeline.core``. Needs nothing but msgspec.

The one place of the comparison that knows the core's functions.
"""

from datetime import UTC, datetime

import msgspec

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.core.fold import Step, Where, step
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, decode_state, encode_state
from pipeline.topics import INPUTS

_alerts = msgspec.json.Encoder()
read_state = decode_state
"""Bytes to a customer."""
write_state = encode_state
"""A customer to bytes."""


class SameStep:
    """Folds records of the input topics; valid records only, for the data holds no others."""

    def __init__(self, prefix: str = "") -> None:
        self._known = {f"{prefix}{topic.name}": (topic.name, Decoder(topic.kind)) for topic in INPUTS if topic.kind}

    @property
    def topics(self) -> list[str]:
        """The topics it reads."""
        return list(self._known)

    def decode(self, topic: str, appended_ms: float, value: bytes) -> Event:
        """A record's event."""
        return self._known[topic][1](value, datetime.fromtimestamp(appended_ms / 1000, UTC)).event

    def fold(self, topic: str, offset: int, event: Event, customer: Customer | None) -> Step:
        """The customer after an event, and the alerts it raised."""
        before = customer if customer is not None else Customer(customer_id=event.customer_id)
        return step(before, event, Where(self._known[topic][0], offset))


def alert_bytes(alert: ChurnAlert) -> bytes:
    """An alert as it is sent."""
    return _alerts.encode(alert)
