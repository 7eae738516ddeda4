"""The audit in the running sink, once a minute, in a thread of its own: newest offsets, alerts, aggregates, and the
states of some customers after the other.

What is wrong for a moment only, because a record is on its way from one table to the other, is not told: a number
counts when the round before found one as well.

Before each round, repeated records are looked for and written down: see :mod:`pipeline.sink.duplicates`.
"""

import threading
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException

from pipeline import kafka, metrics, watched
from pipeline.config import Settings
from pipeline.errors import LoyaltyError, Refused
from pipeline.kafka.incarnations import Bases
from pipeline.sink import audit, audit_states, duplicates, start_checks
from pipeline.topics import TOPICS
from pipeline.warehouse.client import Warehouse

SECONDS = 60.0
NEWEST = 20_000
"""How far back a round looks in every partition; `loyalty audit` looks at everything."""


class Auditor:
    """Looks at what was written lately, again and again."""

    def __init__(
        self,
        settings: Settings,
        facts: metrics.SinkMetrics,
        connecting: Callable[[], Warehouse],
        bases: Bases,
        seconds: float = SECONDS,
    ) -> None:
        self._seconds = seconds
        self._settings = settings
        self._facts = facts
        self._bases = bases
        self._connecting = connecting
        self._states = audit_states.Rounds(settings, bases)
        self._before: dict[str, int] = {}
        self._stopping = threading.Event()
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Work in a thread of its own until :meth:`stop`."""
        watched.live_again("audit", self._work, self._facts.audit_died, self._stopping)

    def stop(self) -> None:
        """No further round."""
        self._stopping.set()

    def _work(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                self.search()
                self.round()
            except (LoyaltyError, KafkaException) as failed:
                self._log.warning("the audit could not be completed", error=str(failed))

    def search(self) -> None:
        """Write down the repeated records below the committed offsets."""
        warehouse = self._connecting()
        try:
            committed = kafka.committed(self._settings, self._settings.group("sink"), TOPICS)
            duplicates.search(warehouse, committed, self._bases)
        finally:
            warehouse.close()

    def round(self) -> dict[str, int]:
        """One look; returns what is told."""
        now = self._look()
        lasting = {check: min(count, self._before.get(check, 0)) for check, count in now.items()}
        self._before = now
        self._facts.audited(lasting)
        if any(lasting.values()):
            self._log.error("the warehouse is not what the log says; run: loyalty audit", **lasting)
        return lasting

    def _look(self) -> dict[str, int]:
        warehouse = self._connecting()
        try:
            findings = audit.examine(self._settings, warehouse, NEWEST)
            alerts = audit.disagreements(self._settings, warehouse, self._bases)
            aggregates = audit.aggregates(warehouse)
            return {
                "repeated": sum(finding.repeated for finding in findings),
                "missing": sum(len(finding.missing) for finding in findings),
                "disagreeing": sum(disagreeing for _, disagreeing in alerts.values()),
                "miscounted": sum(abs(one.counted - one.rows) for one in aggregates.values() if not one.ok),
                "states": self._states.look(warehouse),
                "window": _windows_gone(warehouse),
            }
        finally:
            warehouse.close()


def _windows_gone(warehouse: Warehouse) -> int:
    """Whether somebody added a view, or changed a table, so that a repeated batch would be counted twice."""
    try:
        start_checks.windows(warehouse)
    except Refused:
        return 1
    return 0
