"""Alerts as a worker would write them, made up: episodes of customers, told one message after the other."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.messages import ChurnAlert, Transition
from pipeline.errors import Transient
from pipeline.topics import ALERTS
from pipeline.webhooks.administration import example

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
EPISODE: tuple[Transition, ...] = ("raised", "escalated", "updated", "eased", "resolved")


def told(customers: int, name: str = "c", episode: tuple[Transition, ...] = EPISODE) -> Iterator[ChurnAlert]:
    """Every customer's first message, then every customer's second, and so on."""
    for step, transition in enumerate(episode):
        for number in range(customers):
            yield alert(f"{name}-{number}", transition, step)


def alert(customer: str, transition: Transition = "raised", step: int = 0, **changes: object) -> ChurnAlert:
    """One message about a customer."""
    at = START + timedelta(minutes=step)
    return msgspec.structs.replace(
        example(at),
        alert_id=alert_id(customer, "issue-1"),
        customer_id=customer,
        issue_id="issue-1",
        transition=transition,
        status="resolved" if transition in ("resolved", "closed", "withdrawn") else "open",
        raised_at=START,
        caused_by_event=f"{customer}-{step}",
        **changes,
    )


def tell(settings: Settings, alerts: Iterator[ChurnAlert]) -> dict[str, list[int]]:
    """Write alerts where a worker would; returns the sequences of each alert, in order."""
    producer = kafka.producer(settings, "told")
    sequences: dict[str, list[int]] = {}
    with kafka.send_confirmed(producer, lambda failures: Transient(str(failures))) as sending:
        for one in alerts:
            key = one.customer_id.encode()
            sending.send(
                settings.topic(ALERTS.name), key, msgspec.json.encode(one), None,
                partition_of(key, settings.partitions), sequences.setdefault(one.alert_id, []).append,
            )  # fmt: skip
            with suppress(BufferError):
                producer.poll(0)
    return {identity: [offset + 1 for offset in offsets] for identity, offsets in sequences.items()}
