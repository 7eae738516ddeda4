"""Facts about a worker."""

import time
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from pipeline.errors import Reason
from pipeline.metrics.factory import LATENCIES, SIZES, MetricFactory


class WorkerMetrics:
    """Facts about a worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = MetricFactory(registry)
        self._consumed = make.counter("loyalty_events_consumed", "Records taken from input topics", "topic")
        self._rejected = make.counter("loyalty_events_rejected", "Records sent to dead letters", "topic", "reason")
        self._duplicates = make.counter("loyalty_events_duplicate", "Events produced twice, folded once", "topic")
        self._redelivered = make.counter("loyalty_events_redelivered", "Records read again after a restart", "topic")
        self._unplanned = make.counter(
            "loyalty_events_unplanned", "Events with fields the contract does not know", "topic"
        )
        self._suppressed = make.counter(
            "loyalty_events_suppressed", "Records that name an erased customer; dropped", "topic"
        )
        self._alerts = make.counter("loyalty_alerts", "Messages to the desk", "transition", "severity")
        self._ticks = make.counter(
            "loyalty_ticks", "Customers with an open alert looked at again because time had passed"
        )
        self._seconds = make.histogram(
            "loyalty_slice_seconds", "One slice from decoding to the confirmed state", LATENCIES, "topic"
        )
        self._slice = make.histogram("loyalty_slice_records", "Records in one slice", SIZES, "topic")
        self._latency = make.histogram(
            "loyalty_alert_latency_seconds", "From the broker's receipt of an event to the confirmed alert", LATENCIES
        )
        self._lag = make.gauge("loyalty_lag_records", "Records not yet processed", "topic", "partition")
        self._lag_seconds = make.gauge(
            "loyalty_lag_seconds", "Age of the oldest record that was not yet processed", "topic", "partition"
        )
        self._event_time = make.gauge("loyalty_last_event_timestamp_seconds", "Newest event time seen", "topic")
        self._progress = make.gauge("loyalty_last_progress_timestamp_seconds", "When a slice was last finished")
        self._alive = make.gauge("loyalty_alive_timestamp_seconds", "When the worker's event loop last took its turn")
        self._customers = make.gauge("loyalty_state_customers", "Customers in this worker's memory")
        self._rebalances = make.counter("loyalty_rebalances", "Partition assignments received")
        self._ready = make.gauge("loyalty_ready", "1 when recovered and consuming")
        self._stands = make.gauge(
            "loyalty_topic_stands", "1 while too much of a topic cannot be used, and it waits", "topic"
        )
        self._newest: dict[str, int] = {}

    def topic_stands(self, topic: str, stands: bool) -> None:
        """A topic's fuse has blown, or has not."""
        self._stands.labels(topic).set(stands)

    def slice_processed(self, topic: str, records: int, seen: Any, seconds: float) -> None:
        """A slice's results are durable; ``seconds`` is what it took, with the slices that went along with it."""
        self._consumed.labels(topic).inc(records)
        self._slice.labels(topic).observe(records)
        self._seconds.labels(topic).observe(seconds)
        self._duplicates.labels(topic).inc(seen.duplicates)
        self._redelivered.labels(topic).inc(seen.redelivered)
        self._unplanned.labels(topic).inc(seen.unplanned)
        self._suppressed.labels(topic).inc(seen.suppressed)
        self._progress.set_to_current_time()
        self._newest[topic] = max(self._newest.get(topic, 0), seen.newest_event_ms)
        self._event_time.labels(topic).set(self._newest[topic] / 1000)

    def events_rejected(self, topic: str, reasons: Iterable[Reason]) -> None:
        """Records were sent to dead letters."""
        for reason in reasons:
            self._rejected.labels(topic, reason.value).inc()

    def alert_sent(self, transition: str, severity: str, appended_at_ms: int | None) -> None:
        """An alert was confirmed by the broker; ``appended_at_ms`` is when the event was received that led to it."""
        self._alerts.labels(transition, severity).inc()
        if appended_at_ms is not None:
            self._latency.observe(max(0.0, time.time() - appended_at_ms / 1000))

    def looked_again(self, customers: int) -> None:
        """Time alone was looked at."""
        self._ticks.inc(customers)

    def lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """How far a partition is behind."""
        self._lag.labels(topic, partition).set(records)
        self._lag_seconds.labels(topic, partition).set(seconds)

    def alive(self) -> None:
        """The event loop takes its turns."""
        self._alive.set_to_current_time()

    def customers(self, count: int) -> None:
        """How many customers are in memory."""
        self._customers.set(count)

    def became_ready(self, ready: bool) -> None:
        """The worker recovered its state and consumes, or it does not any more."""
        self._ready.set(ready)
        if ready:
            self._rebalances.inc()
