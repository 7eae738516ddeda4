"""The same step in Faust as it comes: an agent per topic, one table with its changelog, the memory store.

``python -m tests.benchmarks.stock_faust JOB``. Faust's compiled parts, uvloop, producer batches and compression as in
the worker; everything else is Faust's default, the commit every 2.8 s included. Nothing is confirmed before the commit.
"""

import sys
from collections.abc import AsyncIterator
from typing import Any

import faust
import uvloop
from faust.serializers.codecs import Codec, register

from pipeline.core.state.customer import Customer
from tests.benchmarks.job import Job
from tests.benchmarks.same_step import SameStep, alert_bytes, read_state, write_state


class StateCodec(Codec):  # type: ignore[misc]
    """The table's values in the worker's own encoding."""

    def _dumps(self, value: Customer) -> bytes:
        return write_state(value)

    def _loads(self, value: bytes) -> Customer:
        return read_state(value)


def create_app(job: Job) -> faust.App:
    """Compose the app."""
    register("customer-state", StateCodec())
    app = faust.App(
        job.group,
        broker=f"kafka://{job.kafka}",
        store="memory://",
        web_enabled=False,
        topic_partitions=job.partitions,
        topic_replication_factor=1,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.005,
        producer_compression_type="lz4",
        datadir=job.directory,
    )
    step = SameStep(job.prefix)
    table = app.Table("customers", key_type=bytes, partitions=job.partitions)
    table.value_serializer = "customer-state"  # there is no argument for it
    alerts = app.topic(job.alerts, key_serializer="raw", value_serializer="raw")
    for topic in step.topics:
        _add_agent(app, topic, step, table, alerts)
    return app


def _add_agent(app: faust.App, name: str, step: SameStep, table: Any, alerts: Any) -> None:
    channel = app.topic(name, key_serializer="raw", value_serializer="raw", partitions=app.conf.topic_partitions)

    @app.agent(channel, name=f"agent-{name}")  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        events: AsyncIterator[Any] = stream.events()
        async for event in events:
            message = event.message
            decoded = step.decode(name, message.timestamp * 1000, event.value)
            result = step.fold(name, message.offset, decoded, table.get(event.key))
            table[event.key] = result.customer
            for alert in result.alerts:
                await alerts.send(key=event.key, value=alert_bytes(alert))


if __name__ == "__main__":
    faust.Worker(
        create_app(Job.from_argument(sys.argv[1])), loop=uvloop.new_event_loop(), loglevel="WARNING", daemon=True,
        redirect_stdouts=False,
    ).execute_from_commandline()  # fmt: skip
