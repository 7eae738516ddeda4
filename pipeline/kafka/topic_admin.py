"""Topics as they should be, and who is in a group: what is asked of the brokers as an administrator."""

from collections.abc import Sequence
from operator import not_

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from pipeline import loopback, retries
from pipeline.config import Settings
from pipeline.errors import Refused, Transient, Unreachable
from pipeline.kafka.client import admin, metadata
from pipeline.retries import retry
from pipeline.topics import EVERY_TOPIC, TOPICS, Topic
from pipeline.waiting import wait_until


def check_controller(client: AdminClient, seconds: float = 2.0) -> None:
    """Fail while the broker that answers administrative requests is away.

    librdkafka (2.16) would connect to it without a pause as long as the request waits, which keeps a core busy.

    Raises
    ------
    Unreachable
        It is, or no broker says who it is.
    """
    try:
        known = client.list_topics(timeout=seconds)
        controller = known.brokers[known.controller_id]
        loopback.reached(controller.host, controller.port, seconds)
    except (KafkaException, KeyError, OSError) as failed:
        raise Unreachable(f"Kafka's controller does not answer: {failed}") from None


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and verify the others; returns the names of those created."""
    existing = set(metadata(settings).topics)
    missing = [topic for topic in EVERY_TOPIC if settings.topic(topic.name) not in existing]
    confirming = {"min.insync.replicas": str(max(1, settings.replication - 1))}  # one replica may be away
    new = [
        NewTopic(settings.topic(t.name), settings.partitions, settings.replication, config=t.config() | confirming)
        for t in missing
    ]
    if new:
        client = admin(settings)  # must outlive its futures
        for name, future in client.create_topics(new, operation_timeout=20).items():
            try:
                future.result(30)
            except KafkaException as failed:
                if failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Refused(f"topic {name} could not be created: {failed.args[0].str()}") from None
        retry(
            retries.SPREAD, (Refused, Transient), lambda: verify_topics(settings, EVERY_TOPIC)
        )  # a broker may not know them yet
    else:
        verify_topics(settings, EVERY_TOPIC)
    return [topic.name for topic in missing]


def verify_topics(settings: Settings, topics: Sequence[Topic] = TOPICS) -> None:
    """Check that topics exist with the configured partitions, append time and compaction.

    Raises
    ------
    Refused
        One line that names the topic, what is wrong and the remedy.
    """
    existing = metadata(settings).topics
    for topic in topics:
        described = existing.get(settings.topic(topic.name))
        if described is None or described.error is not None:
            raise Refused(f"topic {settings.topic(topic.name)} is missing; create the topics: loyalty topics create")
        if len(described.partitions) != settings.partitions:
            raise Refused(
                f"topic {settings.topic(topic.name)} has {len(described.partitions)} partitions, "
                f"LOYALTY_PARTITIONS says {settings.partitions}. All topics need the same number; set it to what the "
                "topics have."
            )
    _verify_settings(settings, topics)


def _verify_settings(settings: Settings, topics: Sequence[Topic]) -> None:
    described = topic_settings(settings, topics)
    for topic in topics:
        for key in ("message.timestamp.type", "cleanup.policy"):
            wanted, actual = topic.config()[key], described[topic.name][key]
            if wanted != actual:
                raise Refused(
                    f"topic {settings.topic(topic.name)} has {key}={actual}, needs {wanted}. "
                    f"Change it with Kafka's own tools: kafka-configs --alter --add-config {key}={wanted}"
                )


def topic_settings(settings: Settings, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    """The broker's settings of topics, by logical name.

    Raises
    ------
    Transient
        They cannot be read.
    """
    resources = {ConfigResource(ResourceType.TOPIC, settings.topic(topic.name)): topic for topic in topics}
    client = admin(settings)  # must outlive its futures
    try:
        answers = client.describe_configs(list(resources))
        return {
            resources[resource].name: {name: entry.value for name, entry in future.result(10).items()}
            for resource, future in answers.items()
        }
    except KafkaException as failed:
        raise Transient(f"the topics' settings cannot be read: {failed.args[0].str()}") from None


def members(settings: Settings, group: str, seconds: float = 30.0) -> int:
    """How many processes are in a consumer group now; one that was killed counts until its session ends.

    A broker that has just started does not know yet who coordinates the group; it is asked again.
    """
    metadata(settings)
    client = admin(settings)  # its answers come only as long as it lives

    def ask() -> int:
        try:
            return len(client.describe_consumer_groups([group], request_timeout=10)[group].result(11).members)
        except KafkaException as failed:
            if failed.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    try:
        return retry(retries.GROUP._replace(total=seconds), KafkaException, ask)
    except KafkaException as failed:
        raise Unreachable(f"Kafka does not answer: {failed.args[0].str()}") from None


def staying(settings: Settings, group: str, seconds: float) -> int:
    """How many are still in a consumer group after ``seconds``; 0 as soon as nobody is."""
    return wait_until(lambda: members(settings, group), not_, seconds=seconds, pause=0.5)
