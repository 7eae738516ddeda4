"""Reads the log of attempts."""

from typing import Any

import msgspec

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.decode import UNREADABLE
from pipeline.topics import EVERY_TOPIC, WEBHOOK_ATTEMPTS
from pipeline.webhooks.outbox import Attempt

_decoder = msgspec.json.Decoder(Attempt)


def attempts(settings: Settings, limit: int, *, endpoint: str = "", alert_id: str = "") -> list[dict[str, Any]]:
    """The newest attempts, oldest first: of one endpoint, of one alert (by its id or the beginning of it), or all.

    Raises
    ------
    Transient, Refused
        Kafka does not answer, or the topics are not there.
    """
    kafka.verify_topics(settings, EVERY_TOPIC)
    newest: list[tuple[int, Attempt]] = []
    with kafka.reading(settings, "webhooks", settings.group("webhooks")) as reader:
        for message in kafka.read_ranges(reader, kafka.whole_ranges(settings, [WEBHOOK_ATTEMPTS])):
            try:
                attempt = _decoder.decode(message.value() or b"")
            except UNREADABLE:
                continue  # somebody else wrote into the topic
            if endpoint in ("", attempt.endpoint) and attempt.alert_id.startswith(alert_id):
                newest.append((message.timestamp()[1], attempt))
    ordered = sorted(newest, key=lambda one: one[0])[-limit:]
    return [msgspec.to_builtins(attempt) for _, attempt in ordered]
