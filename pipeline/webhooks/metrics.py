"""Facts about a notifier; no endpoint and no customer is a label."""

import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from pipeline.metrics.factory import LATENCIES, MetricFactory

OUTCOMES: Final = ("delivered", "retry", "gone", "given-up")
SILENCES: Final = ("held_out", "backfill", "erased", "unreadable")
STATES: Final = ("enabled", "disabled", "away")
ANSWERS: Final = (200, 202, 400, 401, 404, 409, 413, 422, 429, 503)


class NotifierMetrics:
    """One method per fact."""

    def __init__(self, made: CollectorRegistry) -> None:
        metric = MetricFactory(made)
        self._attempts = metric.counter(
            "loyalty_webhook_attempts", "Attempts to deliver a message, by what they came to", "outcome"
        )
        self._seconds = metric.histogram(
            "loyalty_webhook_attempt_seconds", "One attempt, from its first byte to the verdict", LATENCIES
        )
        self._first = metric.histogram(
            "loyalty_webhook_first_attempt_seconds",
            "From the broker's receipt of an alert to the first attempt to deliver it",
            LATENCIES,
        )
        self._silent = metric.counter(
            "loyalty_webhook_alerts_kept", "Alerts of which nobody is told, by the reason", "reason"
        )
        self._pending = metric.gauge("loyalty_webhook_pending", "Messages that are not delivered yet")
        self._oldest = metric.gauge(
            "loyalty_webhook_oldest_pending_seconds", "Age of the oldest message that is not delivered"
        )
        self._endpoints = metric.gauge(
            "loyalty_webhook_endpoints", "Endpoints by how they are; away: they are probed until they answer", "state"
        )
        self._refused = metric.gauge(
            "loyalty_webhook_file_refused", "1 while the file of endpoints cannot be used, and those known before are"
        )
        self._lag = metric.gauge("loyalty_notifier_lag_records", "Alerts not yet read", "partition")
        self._ready = metric.gauge("loyalty_notifier_ready", "1 when what was pending is read and alerts are")
        self._alive = metric.gauge("loyalty_notifier_alive_timestamp_seconds", "When the notifier last took its turn")
        self._outcomes = metric.counter(
            "loyalty_outcomes_received", "Outcomes that ticket systems sent, by our answer", "status"
        )
        for outcome in OUTCOMES:
            self._attempts.labels(outcome)
        for reason in SILENCES:
            self._silent.labels(reason)
        for status in ANSWERS:
            self._outcomes.labels(status)

    def attempted(self, outcome: str, seconds: float) -> None:
        """An attempt ended."""
        self._attempts.labels(outcome).inc()
        self._seconds.observe(seconds)

    def first_attempt(self, appended_at_ms: int) -> None:
        """A message is sent for the first time; its alert was received at ``appended_at_ms``."""
        self._first.observe(max(0.0, time.time() - appended_at_ms / 1000))

    def kept(self, reason: str) -> None:
        """Nobody is told of an alert."""
        self._silent.labels(reason).inc()

    def pending(self, count: int, oldest_ms: int | None) -> None:
        """How many messages are not delivered, and when the alert of the oldest was received."""
        self._pending.set(count)
        self._oldest.set(0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000))

    def endpoints(self, states: Mapping[str, int]) -> None:
        """How many endpoints are in which state."""
        for state in STATES:
            self._endpoints.labels(state).set(states.get(state, 0))

    def file_refused(self, refused: bool) -> None:
        """The file of endpoints cannot be used, or can."""
        self._refused.set(refused)

    def lag(self, behind: Mapping[int, int]) -> None:
        """How far each partition is behind."""
        self._lag.clear()
        for partition, records in behind.items():
            self._lag.labels(partition).set(records)

    def became_ready(self, ready: bool) -> None:
        """What was pending is read, or is being read."""
        self._ready.set(ready)

    def alive(self) -> None:
        """The notifier takes its turns."""
        self._alive.set_to_current_time()

    def outcome_answered(self, status: int) -> None:
        """A ticket system was answered."""
        self._outcomes.labels(status).inc()
