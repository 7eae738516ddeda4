"""Histories to learn from: simulated ones, and single customers written down day by day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact
from pipeline.simulate import population
from pipeline.simulate.send import encode
from pipeline.simulate.truth import HIDDEN, Hidden
from pipeline.topics import INPUTS

FIRST_DAY = date(2020, 1, 1)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def simulated(customers: int, days: int, seed: int, hidden: Hidden = HIDDEN) -> Iterator[list[Event]]:
    """The events of each simulated customer, through the product's own decoder."""
    decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
    for life in population.lives(range(customers), days, seed, FIRST_DAY, hidden):
        yield [decoders[topic](encode(event), datetime(2040, 1, 1, tzinfo=UTC)).event for topic, event in life]


def on(day: float) -> datetime:
    return START + timedelta(days=day)


def bought(day: float, **more: Any) -> Purchase:
    return Purchase(
        event_id=f"p{day}", customer_id="c", occurred_at=on(day), order_id=f"o{day}", currency="EUR",
        **{"amount": "10.00"} | more,
    )  # fmt: skip


def contacted(day: float, issue: str = "i", *, ended: float | None = None, **more: Any) -> ServiceContact:
    ends = day + 0.02 if ended is None else ended
    return ServiceContact(
        event_id=f"k{day}-{ends}", customer_id="c", occurred_at=on(ends), contact_id=f"k{day}", issue_id=issue,
        opened_at=on(day), **{"stage": "updated", "channel": "phone", "kind": "question"} | more,
    )  # fmt: skip


def acted(day: float, alert: str, action: Any = "called") -> AlertOutcome:
    return AlertOutcome(
        event_id=f"a{day}", customer_id="c", occurred_at=on(day), alert_id=alert, action=action, result="in_progress"
    )


def other(day: float) -> Sequence[Event]:
    """Somebody else, whose only purchase makes the history reach so far."""
    return [bought(day)]
