"""What a member of a group is told: that its partitions are somebody else's now, or that its client is broken."""

from confluent_kafka import KafkaError, KafkaException, TopicPartition

LOST = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)
"""Commit errors that mean: these partitions are somebody else's now."""

FATAL = frozenset({KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID})
"""Errors after which librdkafka cannot go on: another process took this one's place, or the client broke."""


class PartitionsRevoked(Exception):
    """The partitions were given to another process; what was not committed is theirs."""


def raise_partition_errors(answers: list[TopicPartition]) -> list[TopicPartition]:
    """The answers, unless one partition failed: librdkafka raises by itself only when all of them did."""
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return answers
