"""Has everything sent to an endpoint again that was told since a moment, under the same ids.

The messages become pending; the notifiers, which read what others write there, send them in the order of each alert.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Transient
from pipeline.topics import ALERTS, EVERY_TOPIC, WEBHOOK_PENDING
from pipeline.webhooks.administration import one_of
from pipeline.webhooks.endpoints import Endpoint, EndpointFile, wants
from pipeline.webhooks.pending import Pending, alert_in, encoded, pending_for, silence_about


def replayed(settings: Settings, name: str, since: datetime, alert_id: str = "") -> int:
    """Make messages pending again, of one alert (by its id or the beginning of it) or of all; returns how many.

    What is held out, of imported history, about an erased customer or not for the endpoint is left out.

    Raises
    ------
    Transient
        Kafka does not answer.
    NotFound
        There is no such endpoint.
    """
    endpoint = one_of(EndpointFile(settings.webhooks).read(), name)
    kafka.verify_topics(settings, EVERY_TOPIC)
    producer, count = kafka.producer(settings, "webhooks"), 0
    with kafka.send_confirmed(producer, lambda failures: Transient(f"Kafka did not take them: {failures}")) as sending:
        for pending in _told(settings, endpoint, since, alert_id):
            topic = settings.topic(WEBHOOK_PENDING.name)
            sending.send(topic, pending.key, encoded(pending), partition=pending.partition)
            count += 1
    return count


def _told(settings: Settings, endpoint: Endpoint, since: datetime, alert_id: str) -> Iterator[Pending]:
    with closing(Suppressions(settings)) as suppressions:
        erased = suppressions.read().digests
        base = suppressions.incarnations.bases().get(ALERTS.name, 0)
    with kafka.reading(settings, "webhooks", settings.group("webhooks")) as reader:
        for message in kafka.read_ranges(reader, kafka.whole_ranges(settings, [ALERTS])):
            alert, appended_at_ms = alert_in(message.value()), message.timestamp()[1]
            if alert is None or silence_about(alert) or not alert.alert_id.startswith(alert_id):
                continue
            if appended_at_ms < since.timestamp() * 1000 or not wants(endpoint, alert):
                continue
            if digest_of(alert.customer_id.encode()) not in erased:
                place = message.partition(), base + message.offset()
                yield pending_for(endpoint, alert, message.value(), *place, appended_at_ms)
