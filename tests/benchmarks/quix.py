"""The same step in Quix Streams: one dataframe per topic, joined by ``concat``, state in RocksDB with its changelog.

``python -m tests.benchmarks.quix JOB``, in an environment of its own (see :mod:`tests.benchmarks.environments`).
At least once and a commit every 5 s, as is its default; compression and producer batches as in the worker.
Its state is the worker's own bytes, not JSON. Dataframes of several topics share a customer's state through ``concat``
only, and Quix reads such topics in the order of their timestamps.
"""

import sys
from typing import Any

from quixstreams import Application, State, message_context

from tests.benchmarks.job import Job
from tests.benchmarks.same_step import SameStep, alert_bytes, read_state, write_state


def create_app(job: Job) -> Application:
    """Compose the application."""
    app = Application(
        broker_address=job.kafka,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.directory,
        loglevel="WARNING",
        consumer_extra_config={"fetch.message.max.bytes": 4 * 1024 * 1024},
        producer_extra_config={"linger.ms": 5, "compression.type": "lz4"},
    )
    step = SameStep(job.prefix)
    frames = [
        app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes")) for name in step.topics
    ]
    joined = frames[0]
    for frame in frames[1:]:
        joined = joined.concat(frame)

    def folded(value: bytes, _key: Any, timestamp: int, _headers: Any, state: State) -> list[bytes]:
        where = message_context()
        event = step.decode(where.topic, timestamp, value)
        before = state.get_bytes("customer")
        result = step.fold(where.topic, where.offset, event, read_state(before) if before is not None else None)
        state.set_bytes("customer", write_state(result.customer))
        return [alert_bytes(alert) for alert in result.alerts]

    alerts = app.topic(job.alerts, key_serializer="bytes", value_serializer="bytes")
    joined.apply(folded, stateful=True, expand=True, metadata=True).to_topic(alerts)
    return app


if __name__ == "__main__":
    create_app(Job.from_argument(sys.argv[1])).run()
