"""How much of everything a run does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a run."""

    customers: int = 100_000
    days: int = 720
    events: int | None = None
    """At most so many events of the mix; ``None``: all, about 5.9 per customer."""
    faust_seconds: float = 60.0
    """How long stock Faust is watched, from its first commit: it would need minutes for all."""
    rate: int = 5_000
    rate_seconds: int = 30
    recovered: int = 1_000_000
    scaling: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scaling_events: int = 60_000
    """Few enough that ten thousand customers are not changed by them beyond recognition: an event costs what a
    customer's open issues cost."""
    writing_rounds: int = 3
    profiled: int = 100_000
    stored: int = 10_000_000
    """Raw events in the warehouse, at least."""
    stored_customers: int = 2_000
    """Customers that are simulated for it; the engine multiplies them."""
    webhook_alerts: int = 1_000
    webhook_rate: int = 20
    webhook_pending: int = 100_000


FULL = Sizes()
QUICK = Sizes(
    customers=1_000, faust_seconds=15.0, rate=1_000, rate_seconds=2, recovered=3_000, scaling=(100, 1_000),
    scaling_events=3_000, writing_rounds=1, profiled=2_000, stored=5_000, stored_customers=100,
    webhook_alerts=40, webhook_rate=20, webhook_pending=500,
)  # fmt: skip
"""A smoke run: every part, no figure of use."""
