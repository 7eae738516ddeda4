"""Makes the metrics of one registry, and holds the buckets they share."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SIZES = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


class MetricFactory:
    """Each method makes a metric: its name, what it says, its labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """A number that only grows."""
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """A number that rises and falls."""
        return Gauge(name, text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        """A distribution, in buckets up to each of these."""
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)
