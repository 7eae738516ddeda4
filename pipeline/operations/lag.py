"""Lag of the worker and the sink, and waiting until it is zero."""

import time
from operator import not_
from typing import NamedTuple

from pipeline import kafka
from pipeline.config import Settings
from pipeline.continuity import READERS
from pipeline.errors import Transient
from pipeline.topics import INPUTS, TOPICS
from pipeline.waiting import wait_until


class TopicLag(NamedTuple):
    """Records in a topic, and how many of them a kind of process has not finished; ``None``: it does not read it."""

    topic: str
    records: int
    worker: int | None
    sink: int


def topic_lags(settings: Settings) -> list[TopicLag]:
    """The lag of every topic."""
    ends = kafka.end_offsets(settings, TOPICS)
    worker = kafka.committed(settings, settings.group("worker"), INPUTS)
    sink = kafka.committed(settings, settings.group("sink"), TOPICS)
    topics = []
    for topic in TOPICS:
        bounds = {key: bound for key, bound in ends.items() if key[0] == topic.name}
        topics.append(
            TopicLag(
                topic.name,
                sum(end - first for first, end in bounds.values()),
                _lag(bounds, worker) if topic in INPUTS else None,
                _lag(bounds, sink),
            )
        )
    return topics


def _lag(bounds: dict[tuple[str, int], tuple[int, int]], committed: dict[tuple[str, int], int]) -> int:
    return sum(max(0, end - max(first, committed.get(key, 0))) for key, (first, end) in bounds.items())


def left_of(settings: Settings, process: str) -> dict[tuple[str, int], tuple[int, int]]:
    """What a kind of process has not finished: from which offset, and before which, by topic and partition."""
    topics = READERS[process]
    ends = kafka.end_offsets(settings, topics)
    committed = kafka.committed(settings, settings.group(process), topics)
    begins = {key: max(first, committed.get(key, 0)) for key, (first, _) in ends.items()}
    return {key: (begins[key], end) for key, (_, end) in ends.items() if begins[key] < end}


def wait_until_done(settings: Settings, process: str, seconds: float) -> float:
    """Wait until the worker or the sink has finished everything that is in its topics; returns the seconds it took.

    Raises
    ------
    Transient
        It has not, within ``seconds``.
    """
    started = time.monotonic()

    def left() -> int:
        try:
            return sum(end - begin for begin, end in left_of(settings, process).values())
        except Transient:
            return -1  # the broker is away; it may come back

    if missing := wait_until(left, not_, seconds=seconds, pause=0.2):
        raise Transient(
            f"the {process} is still {missing} records behind after {seconds:.0f} s; `loyalty status` shows where"
        )
    return time.monotonic() - started
