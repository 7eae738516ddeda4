"""Measuring a process from outside, the same way for every engine.

Progress is what the engine has *committed*; time and CPU (of the process and its children) are read at the moment a
commit is seen. A rate is taken between the first commit seen and the last, so starting up does not count.
"""

import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil
from confluent_kafka import KafkaException, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.topics import INPUTS

START_SECONDS = 300.0
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 0.2
CLOCK_SECONDS = 0.01
"""The step in which the system counts CPU time."""


class Sample(NamedTuple):
    """What had been done by a moment."""

    seconds: float
    cpu_seconds: float
    done: int


class Rate(NamedTuple):
    """What an engine did between its first commit and its last."""

    events: int
    seconds: float
    cpu_seconds: float
    resident: int
    """Bytes in memory at the end."""

    @property
    def per_second(self) -> float:
        """Events per second of wall clock."""
        return self.events / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events, which is microseconds per event."""
        return self.cpu_seconds / self.events * 1e6


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its descendants, and those that have ended."""
    times = [process.cpu_times() for process in family(pid)]
    return sum(t.user + t.system for t in times) + times[0].children_user + times[0].children_system


def resident(pid: int) -> int:
    """Bytes a process and its descendants hold in memory."""
    return sum(process.memory_info().rss for process in family(pid))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its descendants."""
    if process.poll() is None:
        for each in reversed(family(process.pid)):
            each.kill()
    process.wait(10)


class Commits:
    """What a consumer group has committed of a field's input topics."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._reader = kafka.consumer(settings, "bench-commits", group)
        self._asked = [
            TopicPartition(settings.topic(topic.name), partition)
            for topic in INPUTS
            for partition in range(settings.partitions)
        ]

    def done(self) -> int:
        """The sum of the committed offsets; nothing is ever deleted from these topics."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answers = self._reader.committed(self._asked, timeout=ANSWER_SECONDS)
            except KafkaException:  # the group's coordinator is not there yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return sum(max(0, answer.offset) for answer in answers)

    def close(self) -> None:
        """Let the connection go."""
        self._reader.close()


def watch(process: subprocess.Popen[bytes], done: Callable[[], int], end_at: int, limit: float) -> list[Sample]:
    """A sample at the start, then one per progress seen; ends at ``end_at`` or ``limit`` seconds after the first."""
    samples = [Sample(time.monotonic(), cpu_seconds(process.pid), done())]
    while samples[-1].done < end_at:
        time.sleep(LOOK_SECONDS)
        assert process.poll() is None, "the engine ended"
        done_now = done()
        sample = Sample(time.monotonic(), cpu_seconds(process.pid), done_now)
        if sample.done > samples[-1].done:
            samples.append(sample)
        if len(samples) == 1:
            assert sample.seconds - samples[0].seconds < START_SECONDS, "no progress"
        elif sample.seconds - samples[1].seconds > limit:
            break
    return samples


def rate(samples: list[Sample], resident_bytes: int) -> Rate:
    """The rate between the first commit seen and the last.

    When the first commit covers most of the data (a smoke run), everything since the start of the process counts.
    """
    start, first, last = samples[0], samples[1], samples[-1]
    begin = start if first.done - start.done > (last.done - start.done) / 2 else first
    cpu = max(last.cpu_seconds - begin.cpu_seconds, CLOCK_SECONDS)
    return Rate(last.done - begin.done, last.seconds - begin.seconds, cpu, resident_bytes)
