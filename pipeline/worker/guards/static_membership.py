"""Whether this worker is still itself: two processes must not share an instance name.

Kafka gives a place to the newest process that asks for it by name. The client library under Faust sends heartbeats
without that name, so a process whose place was taken is told only that it is unknown, asks for the place again, and the
two take it from each other for ever. A worker that lost its place therefore looks who has it before it asks again.
"""

from typing import Any

import faust
from confluent_kafka import KafkaException

from pipeline import kafka
from pipeline.config import Settings

ANSWER_SECONDS = 3.0


def own_member_id(app: faust.App) -> str:
    """The id by which the broker knows this process; empty when the broker said that it knows us no longer."""
    return str(app.consumer._thread._consumer._coordinator.member_id)


def place_is_taken(settings: Settings, member_id: str) -> bool:
    """Whether another process is in the group under our instance name; ``False`` when that cannot be found out."""
    group = settings.group("worker")
    client = kafka.admin(settings)  # must outlive its future
    try:
        described: Any = client.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)[group].result(
            ANSWER_SECONDS + 1
        )
    except (KafkaException, TimeoutError):
        return False
    return any(m.group_instance_id == settings.instance and m.member_id != member_id for m in described.members)
