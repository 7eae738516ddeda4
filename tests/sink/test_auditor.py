"""The audit beside a sink outlives whatever a round of it ends in."""

from typing import Any, cast

from prometheus_client import CollectorRegistry

from pipeline import metrics
from pipeline.config import Settings
from pipeline.sink.auditor import Auditor
from tests.stacks import eventually


class Nothing:
    """A warehouse that nobody gets to ask anything."""

    def close(self) -> None:
        pass


class Stumbling(Auditor):
    """Its first round ends in something unforeseen; the others find that the broker is away."""

    rounds = 0

    def search(self) -> None:
        self.rounds += 1
        if self.rounds == 1:
            raise KeyError("topic")
        super().search()


def test_the_audit_begins_again_after_something_unforeseen_and_counts_it() -> None:
    made = CollectorRegistry()
    audit = Stumbling(
        Settings(kafka="127.0.0.1:1"), metrics.SinkMetrics(made), lambda: cast(Any, Nothing()), {}, seconds=0.1
    )
    audit.start()
    try:
        eventually(lambda: audit.rounds >= 3, 30, "round after round")
        assert made.get_sample_value("loyalty_sink_audit_restarts_total") == 1
    finally:
        audit.stop()
