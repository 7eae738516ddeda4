"""The commits of the group of workers, written and read through one client: aiokafka, which respects a note's length.

librdkafka would read notes of workers up to 0.4.0 together with what lies behind them in memory, see
:mod:`pipeline.kafka.commit_metadata`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from pipeline.kafka.commit_metadata import opened, sealed


class Commit(NamedTuple):
    """One commit of the group."""

    offset: int
    """The next record to be read."""
    note: str


async def commit(consumer: Any, commits: Mapping[TP, Commit]) -> None:
    """Commit in the name of the group; raises as aiokafka does."""
    await consumer.commit(
        {
            TopicPartition(*place): OffsetAndMetadata(offset, sealed(note))
            for place, (offset, note) in commits.items()
        }
    )  # fmt: skip


async def committed(consumer: Any, places: Iterable[TP]) -> dict[TP, Commit]:
    """The commits; partitions without one are left out. Raises as aiokafka does."""
    answers = await consumer._coordinator.fetch_committed_offsets([TopicPartition(*place) for place in places])
    return {TP(*place): Commit(answer.offset, opened(answer.metadata)) for place, answer in answers.items()}
