"""Metrics: one place, one method per fact, closed label sets, base units, never a customer in a label.

Facts are recorded per batch where they are frequent, so that the hot path pays little. Every class takes the registry
it writes to; nothing is registered at import.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pipeline import __version__, watched
from pipeline.errors import Reason, Refused

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SIZES = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


def registry(process: str) -> CollectorRegistry:
    """A registry with build and process information."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    Info("loyalty_build", "Version of the program and kind of process", registry=made).info(
        {"version": __version__, "process": process}
    )
    return made


def serve(made: CollectorRegistry, host: str, port: int) -> None:
    """Serve a registry's metrics over HTTP.

    Raises
    ------
    Refused
        The port is taken.
    """
    try:
        server, thread = start_http_server(port, host, made)
    except OSError:
        raise Refused(f"port {port} (metrics) on {host} is taken; choose another with LOYALTY_*_METRICS_PORT") from None

    server.set_app(partial(_at_metrics, server.get_app()))

    def serve_on() -> None:
        thread.join()
        server.serve_forever()

    watched.live_again("metrics", serve_on)


def _at_metrics(app: Any, asked: dict[str, Any], begin: Callable[..., Any]) -> Any:
    """The metrics at their address, and nothing at any other: a probe of a page that is not there must fail."""
    if asked.get("PATH_INFO") == "/metrics":
        return app(asked, begin)
    begin("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"only /metrics is here\n"]


class WorkerMetrics:
    """Facts about a worker."""

    def __init__(self, made: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=made)

        self._consumed = counter("loyalty_events_consumed", "Records taken from input topics", "topic")
        self._rejected = counter("loyalty_events_rejected", "Records sent to dead letters", "topic", "reason")
        self._duplicates = counter("loyalty_events_duplicate", "Events produced twice, folded once", "topic")
        self._redelivered = counter("loyalty_events_redelivered", "Records read again after a restart", "topic")
        self._unplanned = counter("loyalty_events_unplanned", "Events with fields the contract does not know", "topic")
        self._suppressed = counter(
            "loyalty_events_suppressed", "Records that name an erased customer; dropped", "topic"
        )
        self._alerts = counter("loyalty_alerts", "Messages to the desk", "transition", "severity")
        self._ticks = counter("loyalty_ticks", "Customers with an open alert looked at again because time had passed")
        self._seconds = Histogram(
            "loyalty_slice_seconds",
            "One slice from decoding to the confirmed state",
            ["topic"],
            buckets=LATENCIES,
            registry=made,
        )
        self._slice = Histogram(
            "loyalty_slice_records", "Records in one slice", ["topic"], buckets=SIZES, registry=made
        )
        self._latency = Histogram(
            "loyalty_alert_latency_seconds",
            "From the broker's receipt of an event to the confirmed alert",
            buckets=LATENCIES,
            registry=made,
        )
        self._lag = Gauge("loyalty_lag_records", "Records not yet processed", ["topic", "partition"], registry=made)
        self._lag_seconds = Gauge(
            "loyalty_lag_seconds",
            "Age of the oldest record that was not yet processed",
            ["topic", "partition"],
            registry=made,
        )
        self._event_time = Gauge(
            "loyalty_last_event_timestamp_seconds", "Newest event time seen", ["topic"], registry=made
        )
        self._progress = Gauge(
            "loyalty_last_progress_timestamp_seconds", "When a slice was last finished", registry=made
        )
        self._alive = Gauge(
            "loyalty_alive_timestamp_seconds", "When the worker's event loop last took its turn", registry=made
        )
        self._customers = Gauge("loyalty_state_customers", "Customers in this worker's memory", registry=made)
        self._rebalances = Counter("loyalty_rebalances", "Partition assignments received", registry=made)
        self._ready = Gauge("loyalty_ready", "1 when recovered and consuming", registry=made)
        self._stands = Gauge(
            "loyalty_topic_stands", "1 while too much of a topic cannot be used, and it waits", ["topic"], registry=made
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


class SinkMetrics:
    """Facts about a sink."""

    def __init__(self, made: CollectorRegistry) -> None:
        self._rows = Counter("loyalty_sink_rows", "Rows inserted", ["table"], registry=made)
        self._batches = Counter("loyalty_sink_batches", "Batches inserted", ["topic"], registry=made)
        self._insert = Histogram(
            "loyalty_sink_insert_seconds", "One insert into one table", ["table"], buckets=LATENCIES, registry=made
        )
        self._size = Histogram(
            "loyalty_sink_batch_records", "Records in one batch", ["topic"], buckets=SIZES, registry=made
        )
        self._unreadable = Counter(
            "loyalty_sink_unreadable_records", "Records of our own topics that are not ours", ["topic"], registry=made
        )
        self._retries = Counter("loyalty_sink_retries", "Inserts that were tried again", registry=made)
        self._unexplained = Counter(
            "loyalty_sink_unexplained_errors",
            "Inserts that failed in a way nobody has classified; they are repeated, and somebody should look",
            registry=made,
        )
        self._rejected = Counter(
            "loyalty_sink_rejected_records", "Records whose rows ClickHouse refuses", ["topic"], registry=made
        )
        self._suppressed = Counter(
            "loyalty_sink_suppressed_rows", "Rows of erased customers that were not written", ["table"], registry=made
        )
        self._open = Gauge(
            "loyalty_sink_open_intents", "Batches that are recorded and not yet committed", registry=made
        )
        self._mismatches = Gauge(
            "loyalty_sink_audit_mismatches",
            "What the audit finds wrong in the warehouse; anything but 0 needs a person",
            ["check"],
            registry=made,
        )
        self._audited = Gauge(
            "loyalty_sink_last_audit_timestamp_seconds", "When an audit was last completed", registry=made
        )
        self._audit_deaths = Counter(
            "loyalty_sink_audit_restarts", "Audits that ended in something unforeseen; it begins again", registry=made
        )
        self._alive = Gauge(
            "loyalty_sink_alive_timestamp_seconds",
            "When the sink last took its turn, also while it waits",
            registry=made,
        )
        self._paused = Gauge("loyalty_sink_paused", "1 while ClickHouse is away and consumption waits", registry=made)
        self._visible = Histogram(
            "loyalty_queryable_latency_seconds",
            "From the broker's receipt of a record to its row being queryable",
            ["topic"],
            buckets=LATENCIES,
            registry=made,
        )
        self._lag = Gauge(
            "loyalty_sink_lag_records", "Records not yet in ClickHouse", ["topic", "partition"], registry=made
        )
        self._lag_seconds = Gauge(
            "loyalty_sink_lag_seconds",
            "Age of the oldest record not yet in ClickHouse",
            ["topic", "partition"],
            registry=made,
        )
        self._ready = Gauge("loyalty_sink_ready", "1 when partitions are assigned", registry=made)
        self._progress = Gauge(
            "loyalty_sink_last_progress_timestamp_seconds", "When a batch was last committed", registry=made
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
        """An insert failed in a way that waiting can mend."""
        self._retries.inc()

    def waiting(self, paused: bool) -> None:
        """Consumption waits for ClickHouse, or goes on."""
        self._paused.set(paused)

    def lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """How far a partition is behind."""
        self._lag.labels(topic, partition).set(records)
        self._lag_seconds.labels(topic, partition).set(seconds)


class WarehouseMetrics:
    """Facts about the embedded warehouse's HTTP server."""

    def __init__(self, made: CollectorRegistry) -> None:
        self._requests = Counter("loyalty_warehouse_requests", "Requests answered", ["kind", "status"], registry=made)
        self._seconds = Histogram(
            "loyalty_warehouse_request_seconds", "Time in the engine", ["kind"], buckets=LATENCIES, registry=made
        )

    def answered(self, kind: str, ok: bool, seconds: float) -> None:
        """A query or an insert was answered."""
        self._requests.labels(kind, "ok" if ok else "error").inc()
        self._seconds.labels(kind).observe(seconds)


class UpMetrics:
    """Facts about ``loyalty up`` itself."""

    def __init__(self, made: CollectorRegistry) -> None:
        self._up = Gauge("loyalty_process_up", "1 while a process of the stack runs", ["process"], registry=made)
        self._restarts = Counter(
            "loyalty_process_restarts", "Restarts of a process that died", ["process"], registry=made
        )
        self._waiting = Gauge(
            "loyalty_process_given_up",
            "1 while a process refuses to run or dies again and again; it is tried again, seldom, until it runs",
            ["process"],
            registry=made,
        )
        self._watched = Gauge(
            "loyalty_stack_watched_timestamp_seconds", "When the processes were last looked at", registry=made
        )

    def running(self, process: str, up: bool) -> None:
        """A process of the stack runs, or does not."""
        self._up.labels(process).set(up)

    def given_up(self, process: str, given_up: bool) -> None:
        """A process is kept from running by something that does not pass at once, or not any more."""
        self._waiting.labels(process).set(given_up)

    def watched(self) -> None:
        """All processes were looked at."""
        self._watched.set_to_current_time()

    def restarted(self, process: str) -> None:
        """A process died and was started again."""
        self._restarts.labels(process).inc()
