"""Where each microsecond goes: every stage of an event on its own, against what the worker takes in all.

Rules
-----
- A stage is measured alone, on the run's data, by the CPU time of all threads of its process.
- What the stages do not explain is printed, not spread over them: the event loop, slices, metrics, waiting.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks import stages
from tests.benchmarks.ground import Ground
from tests.benchmarks.report import Cell, Table

WORKER_CLIENT = "aiokafka"
"""The client the worker consumes with."""


class Stage(NamedTuple):
    """A stage: how often per event, and what one call costs."""

    name: str
    calls_per_event: float
    microseconds: float

    @property
    def per_event(self) -> float:
        """Microseconds of CPU per event."""
        return self.calls_per_event * self.microseconds


def run(ground: Ground) -> list[Table]:
    """Measure every stage and compare the sum with the worker."""
    total = ground.worker_rate
    found = _stages(ground, total.per_second)
    explained = sum(stage.per_event for stage in found)
    rows: list[Sequence[Cell]] = [(s.name, s.calls_per_event, s.microseconds, s.per_event) for s in found]
    rows += [
        ("sum of the stages", None, None, explained),
        ("not explained by them", None, None, total.cpu_per_million - explained),
        ("the worker, measured", None, None, total.cpu_per_million),
        ("floor: librdkafka, no decode", None, None, ground.measure("floor", "librdkafka", False)[0].cpu_per_million),
    ]
    how = (
        "CPU microseconds, each stage measured alone, one event at a time. The worker reads, writes and sends a\n"
        "customer once for all that arrived together and changes that copy in place, so 'state read', 'fold',\n"
        "'state write' and 'changelog' are upper bounds; but a stage alone runs in a warmer cache than among others."
    )
    return [Table("Where each microsecond goes", how, ("stage", "calls/event", "us/call", "us/event"), rows)]


def _stages(ground: Ground, per_second: float) -> list[Stage]:
    core = stages.core(ground.events[: ground.sizes.profiled])
    consume = ground.measure("floor", WORKER_CLIENT, False)[0].cpu_per_million
    settings = ground.field.settings
    return [
        Stage(f"consume ({WORKER_CLIENT})", 1, consume),
        *(Stage(name, spent.calls / core.events, spent.microseconds) for name, spent in core.spent.items()),
        Stage("changelog", 1, stages.produced(settings, "customer-states", core.states)),
        Stage("outputs", len(core.alerts) / core.events, stages.produced(settings, "churn-alerts", core.alerts)),
        Stage("commit", stages.COMMITS_PER_SECOND / per_second, stages.committed(settings)),
    ]
