"""Sends events to their topics, as fast as the broker takes them or at a given rate."""

from collections.abc import Iterable, Sequence

import orjson

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Unreachable
from pipeline.progress import OnCount
from pipeline.waiting import Pace


def encode(event: dict[str, object]) -> bytes:
    """An event as it is sent; the same event is always the same bytes."""
    return orjson.dumps(event)


def send(
    settings: Settings, events: Iterable[tuple[str, dict[str, object]]], progress: OnCount, rate: float | None = None
) -> int:
    """Send events, each under its customer's key; returns how many the broker confirmed.

    ``rate`` is in events per second; ``progress`` is told how many were handed over so far.

    Raises
    ------
    Unreachable
        The broker did not confirm everything.
    """
    kafka.verify_topics(settings)
    producer = kafka.producer(settings, "simulate", **{"message.timeout.ms": 120_000})
    pace, count = Pace(rate), 0

    def not_taken(failures: Sequence[str | None]) -> Unreachable:
        return Unreachable(f"Kafka did not take every one of {count} events ({failures}); send them again")

    with kafka.send_confirmed(producer, not_taken, 120.0) as sending:
        for topic, event in events:
            headers: kafka.Headers = [("synthetic", b"1")] if event.get("synthetic") else []
            sending.send(settings.topic(topic), str(event["customer_id"]).encode(), encode(event), headers)
            count += 1
            pace.keep(count)
            if count % 500 == 0 or rate:
                producer.poll(0)
                progress(count)
    progress(count)
    return count
