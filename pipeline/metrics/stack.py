"""Facts about the stack on one machine: its warehouse, and its supervisor."""

from prometheus_client import CollectorRegistry

from pipeline.metrics.factory import LATENCIES, MetricFactory


class WarehouseMetrics:
    """Facts about the embedded warehouse's HTTP server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = MetricFactory(registry)
        self._requests = make.counter("loyalty_warehouse_requests", "Requests answered", "kind", "status")
        self._seconds = make.histogram("loyalty_warehouse_request_seconds", "Time in the engine", LATENCIES, "kind")

    def answered(self, kind: str, ok: bool, seconds: float) -> None:
        """A query or an insert was answered."""
        self._requests.labels(kind, "ok" if ok else "error").inc()
        self._seconds.labels(kind).observe(seconds)


class UpMetrics:
    """Facts about ``loyalty up`` itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = MetricFactory(registry)
        self._up = make.gauge("loyalty_process_up", "1 while a process of the stack runs", "process")
        self._restarts = make.counter("loyalty_process_restarts", "Restarts of a process that died", "process")
        self._waiting = make.gauge(
            "loyalty_process_given_up",
            "1 while a process refuses to run or dies again and again; it is tried again, seldom, until it runs",
            "process",
        )
        self._watched = make.gauge("loyalty_stack_watched_timestamp_seconds", "When the processes were last looked at")

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
