"""Metrics: one place, one method per fact, closed label sets, base units, never a customer in a label.

Facts are recorded per batch where they are frequent, so that the hot path pays little. Every class takes the registry
it writes to; nothing is registered at import.
"""

from pipeline.metrics.serving import registry, serve
from pipeline.metrics.sink import SinkMetrics
from pipeline.metrics.stack import UpMetrics, WarehouseMetrics
from pipeline.metrics.worker import WorkerMetrics

__all__ = ["SinkMetrics", "UpMetrics", "WarehouseMetrics", "WorkerMetrics", "registry", "serve"]
