"""Facts about a sink."""

import time
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from pipeline.metrics.factory import LATENCIES, SIZES, MetricFactory


class SinkMetrics:
    """Facts about a sink."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = MetricFactory(registry)
        self._rows = make.counter("loyalty_sink_rows", "Rows inserted", "table")
        self._batches = make.counter("loyalty_sink_batches", "Batches inserted", "topic")
        self._insert = make.histogram("loyalty_sink_insert_seconds", "One insert into one table", LATENCIES, "table")
        self._size = make.histogram("loyalty_sink_batch_records", "Records in one batch", SIZES, "topic")
        self._unreadable = make.counter(
            "loyalty_sink_unreadable_records", "Records of our own topics that are not ours", "topic"
        )
        self._retries = make.counter("loyalty_sink_retries", "Inserts that were tried again")
        self._unexplained = make.counter(
            "loyalty_sink_unexplained_errors",
            "Inserts that failed in a way nobody has classified; they are repeated, and somebody should look",
        )
        self._rejected = make.counter("loyalty_sink_rejected_records", "Records whose rows ClickHouse refuses", "topic")
        self._suppressed = make.counter(
            "loyalty_sink_suppressed_rows", "Rows of erased customers that were not written", "table"
        )
        self._open = make.gauge("loyalty_sink_open_intents", "Batches that are recorded and not yet committed")
        self._alive = make.gauge(
            "loyalty_sink_alive_timestamp_seconds", "When the sink last took its turn, also while it waits"
        )
        self._paused = make.gauge("loyalty_sink_paused", "1 while ClickHouse is away and consumption waits")
        self._visible = make.histogram(
            "loyalty_queryable_latency_seconds",
            "From the broker's receipt of a record to its row being queryable",
            LATENCIES,
            "topic",
        )
        self._lag = make.gauge("loyalty_sink_lag_records", "Records not yet in ClickHouse", "topic", "partition")
        self._lag_seconds = make.gauge(
            "loyalty_sink_lag_seconds", "Age of the oldest record not yet in ClickHouse", "topic", "partition"
        )
        self._ready = make.gauge("loyalty_sink_ready", "1 when partitions are assigned")
        self._progress = make.gauge("loyalty_sink_last_progress_timestamp_seconds", "When a batch was last committed")
        self._make_those_of_audits(make)

    def _make_those_of_audits(self, make: MetricFactory) -> None:
        self._mismatches = make.gauge(
            "loyalty_sink_audit_mismatches",
            "What the audit finds wrong in the warehouse; anything but 0 needs a person",
            "check",
        )
        self._audited = make.gauge("loyalty_sink_last_audit_timestamp_seconds", "When an audit was last completed")
        self._audit_deaths = make.counter(
            "loyalty_sink_audit_restarts", "Audits that ended in something unforeseen; it begins again"
        )

    def rows_inserted(self, table: str, rows: int, seconds: float) -> None:
        """One table took its rows of a batch."""
        self._rows.labels(table).inc(rows)
        self._insert.labels(table).observe(seconds)

    def batch_committed(self, topic: str, records: int, received_ms: Sequence[int]) -> None:
        """A batch is queryable and its offsets are committed; ``received_ms`` are those of its ends."""
        self._batches.labels(topic).inc()
        self._size.labels(topic).observe(records)
        now = time.time()
        for appended_at_ms in received_ms:
            self._visible.labels(topic).observe(max(0.0, now - appended_at_ms / 1000))
        self._progress.set_to_current_time()

    def record_unreadable(self, topic: str) -> None:
        """Somebody else wrote into a topic that only our worker writes."""
        self._unreadable.labels(topic).inc()

    def became_ready(self, ready: bool) -> None:
        """Partitions are assigned, or were taken away; what is known of their lag is somebody else's to say then."""
        self._ready.set(ready)
        if not ready:
            self._lag.clear()
            self._lag_seconds.clear()

    def insert_unexplained(self) -> None:
        """An insert failed for a reason that is in no list."""
        self._unexplained.inc()

    def record_rejected(self, topic: str) -> None:
        """ClickHouse refuses the row of a record."""
        self._rejected.labels(topic).inc()

    def rows_suppressed(self, table: str, count: int) -> None:
        """Rows of erased customers were not written."""
        if count:
            self._suppressed.labels(table).inc(count)

    def intents(self, count: int) -> None:
        """How many batches are recorded and not yet committed."""
        self._open.set(count)

    def audited(self, mismatches: Mapping[str, int]) -> None:
        """An audit was completed; mismatches by check."""
        for check, count in mismatches.items():
            self._mismatches.labels(check).set(count)
        self._audited.set_to_current_time()

    def audit_died(self) -> None:
        """The audit ended in something unforeseen."""
        self._audit_deaths.inc()

    def alive(self) -> None:
        """The sink takes its turns."""
        self._alive.set_to_current_time()

    def insert_retried(self) -> None:
        """An insert failed in a way that waiting can fix."""
        self._retries.inc()

    def waiting(self, paused: bool) -> None:
        """Consumption waits for ClickHouse, or goes on."""
        self._paused.set(paused)

    def lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """How far a partition is behind."""
        self._lag.labels(topic, partition).set(records)
        self._lag_seconds.labels(topic, partition).set(seconds)
