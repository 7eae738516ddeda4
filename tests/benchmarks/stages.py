"""One stage of an event at a time, in this process: the functions behind the table of microseconds."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.topics import INPUTS
from tests.benchmarks.same_step import SameStep, alert_bytes, read_state, write_state
from tests.benchmarks.traffic import APPENDED_MS
from tests.faults.field import Sent

COMMITS_PER_SECOND = 2
COMMITS = 50
CORE_STAGES = ("decode", "state read", "fold", "state write", "alert encode")
Keyed = tuple[bytes, bytes]


@dataclass(slots=True)
class Spent:
    """Calls of a stage and the time they took."""

    calls: int = 0
    nanoseconds: int = 0

    @property
    def microseconds(self) -> float:
        """Of one call."""
        return self.nanoseconds / max(1, self.calls) / 1e3


@dataclass(slots=True)
class Core:
    """What the core did with some events, and how long each stage took."""

    spent: dict[str, Spent] = field(default_factory=lambda: {stage: Spent() for stage in CORE_STAGES})
    events: int = 0
    states: list[Keyed] = field(default_factory=list)
    alerts: list[Keyed] = field(default_factory=list)

    def timed(self, stage: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call it and book the time."""
        started = time.perf_counter_ns()
        result = call(*arguments)
        spent = self.spent[stage]
        spent.nanoseconds += time.perf_counter_ns() - started - _clock_ns
        spent.calls += 1
        return result


def _clock() -> int:
    """What reading the clock around nothing takes."""
    readings = [-(time.perf_counter_ns() - time.perf_counter_ns()) for _ in range(10_000)]
    return sorted(readings)[len(readings) // 2]


_clock_ns = _clock()


def core(events: Sequence[Sent]) -> Core:
    """Decode, read, fold and write every event, one after the other, with states kept as bytes."""
    step, held, done = SameStep(), dict[bytes, bytes](), Core()
    for offset, (topic, key, value) in enumerate(events):
        event = done.timed("decode", step.decode, topic, APPENDED_MS, value)
        before = done.timed("state read", read_state, held[key]) if key in held else None
        result = done.timed("fold", step.fold, topic, offset, event, before)
        held[key] = done.timed("state write", write_state, result.customer)
        done.states.append((key, held[key]))
        done.alerts += [(key, done.timed("alert encode", alert_bytes, alert)) for alert in result.alerts]
        done.events += 1
    return done


def produced(settings: Settings, topic: str, records: Sequence[Keyed]) -> float:
    """CPU microseconds per record of a confirmed send, callbacks and librdkafka's threads included."""
    producer = kafka.producer(settings, "bench")
    done = threading.Event()
    started = time.process_time()
    sending = kafka.Sending(producer)
    for key, value in records:
        sending.send(settings.topic(topic), key, value)
        producer.poll(0)
    sending.finish(lambda failure: done.set() if failure is None else None)
    assert producer.flush(120) == 0
    assert done.wait(10)
    return (time.process_time() - started) / max(1, len(records)) * 1e6


def committed(settings: Settings) -> float:
    """CPU microseconds of one commit of every input partition."""
    consumer = kafka.consumer(settings, "bench-commit", settings.group("bench-commit"))
    offsets = [TopicPartition(settings.topic(t.name), p, 1) for t in INPUTS for p in range(settings.partitions)]
    consumer.commit(offsets=offsets, asynchronous=False)
    started = time.process_time()
    for _ in range(COMMITS):
        consumer.commit(offsets=offsets, asynchronous=False)
    spent = time.process_time() - started
    consumer.close()
    return spent / COMMITS * 1e6
