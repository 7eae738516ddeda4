"""Faust's app and its table as we set them up; nothing of ours hangs on them yet."""

from functools import partial

import faust

from pipeline import kafka
from pipeline.config import Settings
from pipeline.continuity import Topics
from pipeline.topics import STATES
from pipeline.worker.credentials import broker_credentials
from pipeline.worker.stores import open_store
from pipeline.worker.table import CustomerTable
from pipeline.worker.transport import SliceStream, SliceTopic


class _App(faust.App):  # type: ignore[misc]
    """Faust's app, which keeps nothing on disk: what is kept there is in ``LOYALTY_DATA_DIR``."""

    def _create_directories(self) -> None:
        """Faust would make folders where the process was started, which may be a place that nobody may write."""


def configured_app(settings: Settings) -> faust.App:
    """Every setting of Faust that is not its default."""
    return _App(
        settings.group("worker"),
        env={},  # otherwise some seventy variables without a prefix come before what is said here
        broker=[f"slices://{address.strip()}" for address in settings.kafka.split(",")],
        broker_credentials=broker_credentials(settings),
        store="memory://",
        Topic=SliceTopic,
        Stream=SliceStream,
        Table=CustomerTable,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
        broker_commit_interval=0.5,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=30.0,
        consumer_group_instance_id=settings.instance or None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1024 * 1024,
    )


def create_table(app: faust.App, settings: Settings, topics: Topics) -> CustomerTable:
    """The table of customers; its changelog is ``customer-states``."""
    table: CustomerTable = app.Table(
        STATES.name,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        changelog_topic=app.topic(
            settings.topic(STATES.name),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            internal=True,
            allow_empty=True,
            partitions=settings.partitions,
            compacting=True,
            maxsize=131_072,
        ),
    )
    table.open_store = partial(
        open_store,
        settings,
        topic_id=topics.known.get(STATES.name, ""),
        end_of=partial(kafka.end_offset, settings, STATES),
    )
    table.recovery_buffer_size = 2  # in slices
    table.crash = app.crash
    return table
