"""The floor: consume the input topics and, if told so, decode every record. No state, no output.

``python -m tests.benchmarks.floor JOB``. Offsets are committed twenty times a second: the run takes seconds, and
progress is what was committed.
"""

import sys

from confluent_kafka import Consumer

from tests.benchmarks.job import Job
from tests.benchmarks.same_step import SameStep

COMMIT_MS = 50


def with_librdkafka(job: Job, step: SameStep) -> None:
    """Consume through confluent-kafka until ended from outside."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": COMMIT_MS,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
        }
    )
    consumer.subscribe(step.topics)
    while True:
        for message in consumer.consume(2_000, 0.1):
            assert message.error() is None, message.error()
            if job.decode:
                step.decode(message.topic(), message.timestamp()[1], message.value())


async def with_aiokafka(job: Job, step: SameStep) -> None:
    """Consume through aiokafka until ended from outside."""
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415 - the other client is not loaded where it is not measured

    consumer = AIOKafkaConsumer(
        *step.topics, bootstrap_servers=job.kafka, group_id=job.group, auto_offset_reset="earliest",
        auto_commit_interval_ms=COMMIT_MS,
    )  # fmt: skip
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=100)
        for tp, records in fetched.items():
            for record in records if job.decode else ():
                step.decode(tp.topic, record.timestamp, record.value)


def main(job: Job) -> None:
    """Run the client the job names."""
    step = SameStep(job.prefix)
    if job.client == "librdkafka":
        with_librdkafka(job, step)
    else:
        import uvloop  # noqa: PLC0415 - as the worker does, on platforms that have it

        uvloop.run(with_aiokafka(job, step))


if __name__ == "__main__":
    main(Job.from_argument(sys.argv[1]))
