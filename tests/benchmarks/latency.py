"""From the call that produces a contact to the alert in another consumer's hands, under a steady flow of the mix."""

import threading
import time
from collections.abc import Iterator, Sequence

import orjson
from confluent_kafka import Consumer, TopicPartition

from pipeline import kafka
from pipeline.topics import ALERTS
from tests.benchmarks.ground import Ground
from tests.benchmarks.report import Table
from tests.faults.field import Field, Sent

SETTLE_SECONDS = 5.0


class AlertReader:
    """Reads alerts as they come, on a thread of its own, and notes when."""

    def __init__(self, field: Field) -> None:
        settings = field.settings
        self._consumer = kafka.consumer(settings, "bench-alerts", "bench-alerts", **{"fetch.wait.max.ms": 5})
        self._consumer.assign(_ends(self._consumer, settings.topic(ALERTS.name), settings.partitions))
        self._stopping = threading.Event()
        self._read: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self._read.append((time.monotonic(), message.value()))

    def stop(self) -> dict[str, float]:
        """When the first alert caused by each event was read."""
        self._stopping.set()
        self._thread.join(10)
        self._consumer.close()
        seen: dict[str, float] = {}
        for moment, value in self._read:
            seen.setdefault(orjson.loads(value)["caused_by_event"], moment)
        return seen


def _ends(consumer: Consumer, topic: str, partitions: int) -> list[TopicPartition]:
    ends = [(p, consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1]) for p in range(partitions)]
    return [TopicPartition(topic, partition, high) for partition, high in ends]


def run(ground: Ground) -> list[Table]:
    """Let a worker catch up with most of the mix, then send the rest at the rate and time every contact's alert."""
    sizes = ground.sizes
    count = min(sizes.rate * sizes.rate_seconds, len(ground.events) // 2)
    field = ground.new_field()
    try:
        field.send(iter(ground.events[:-count]))
        field.worker().wait_ready(120)
        field.wait_done(seconds=600)
        waited, seconds = _waited(field, ground.events[-count:], sizes.rate)
    finally:
        field.end()
    how = (
        f"{count:,} events of the mix sent in {seconds:.1f} s ({count / seconds:,.0f}/s) to a worker that holds what "
        "came before.\nFrom the call of produce (linger 5 ms) to the alert read by a separate consumer; contacts that "
        "raised an alert."
    )
    row = (len(waited), *(_at(waited, share) * 1e3 for share in (0.5, 0.99, 1.0)))
    return [Table("Latency of alerts", how, ("alerts", "p50 ms", "p99 ms", "max ms"), [row])]


def _waited(field: Field, events: Sequence[Sent], rate: float) -> tuple[list[float], float]:
    contacts = [orjson.loads(value)["event_id"] if topic == "service-contacts" else "" for topic, _, value in events]
    produced: dict[str, float] = {}

    def stamped() -> Iterator[Sent]:
        for record, contact in zip(events, contacts, strict=True):
            if contact:
                produced[contact] = time.monotonic()
            yield record

    reader = AlertReader(field)
    time.sleep(1)  # its first fetch is out
    started = time.monotonic()
    field.send(stamped(), rate)
    seconds = time.monotonic() - started
    field.wait_done(seconds=120)
    time.sleep(SETTLE_SECONDS if len(events) > 10_000 else 1)
    read = reader.stop()
    return sorted(read[contact] - moment for contact, moment in produced.items() if contact in read), seconds


def _at(ordered: Sequence[float], share: float) -> float:
    assert ordered, "no contact raised an alert"
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
