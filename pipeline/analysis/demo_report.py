"""The figures of a demo: what was sent, and the totals in the warehouse and in the states."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import Settings
from pipeline.warehouse.client import Warehouse

EXPECTED = {"purchases": "69659", "customers": "23570", "revenue_usd": "2500315.63", "identical_rows": "255"}
"""What CDNOW_master.txt holds; the report says whether ClickHouse holds the same."""


IN_STATES = ("purchases", "customers", "revenue_usd")
"""The figures that customers' states must come to as well."""


_FIGURES = """
SELECT toString(count()) AS purchases,
       toString(uniqExact(customer_id)) AS customers,
       toString(toDecimal64(sum(amount), 2)) AS revenue_usd,
       toString(count() - uniqExact(customer_id, occurred_at, quantities, amount)) AS identical_rows
FROM purchases
WHERE source = 'cdnow'
"""


_IN_STATES = """
WITH bought AS
(
    SELECT customer_id,
           countIf(source != 'cdnow') AS others,
           sumIf(amount, source != 'cdnow' AND currency = 'USD') AS others_usd
    FROM purchases
    GROUP BY customer_id
    HAVING countIf(source = 'cdnow') > 0
)
SELECT toString(sum(state.purchases + state.refunds - others)) AS purchases,
       toString(count()) AS customers,
       toString(toDecimal64(sum(state.spent['USD'] - state.refunded['USD'] - others_usd), 2)) AS revenue_usd
FROM bought INNER JOIN customers AS state USING (customer_id)
"""
"""The same from the states of those customers, without what they bought elsewhere."""


@dataclass(slots=True)
class DemoReport:
    """What a demo did and found."""

    seconds: dict[str, float] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    """What the purchases in ClickHouse come to."""
    states: dict[str, str] = field(default_factory=dict)
    """What the states come to: folded by the worker, so an event that was counted twice shows only here."""
    folded: int = 0
    rejected: int = 0
    customers: int = 0
    open_alerts: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    delivery: dict[str, Any] = field(default_factory=dict)
    """One alert as a receiver of webhooks got it; empty when none did in time."""

    @property
    def is_exact(self) -> bool:
        """Whether the real purchases came through to the cent, as rows and in the states."""
        return self.figures == EXPECTED and self.states == {name: EXPECTED[name] for name in IN_STATES}

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        return {
            "exact": self.is_exact,
            "figures": self.figures,
            "states": self.states,
            "expected": EXPECTED,
            "sent": self.sent,
            "folded": self.folded,
            "rejected": self.rejected,
            "customers": self.customers,
            "open_alerts": self.open_alerts,
            "rows": self.rows,
            "delivery": self.delivery,
            "seconds": self.seconds,
        }


@contextmanager
def timed(report: DemoReport, stage: str) -> Iterator[None]:
    """Note how long a stage takes."""
    started = time.monotonic()
    yield
    report.seconds[stage] = round(time.monotonic() - started, 1)


def examine(settings: Settings, warehouse: Warehouse, report: DemoReport) -> None:
    figures = warehouse.query(_FIGURES)
    report.figures = figures.named()[0]
    states = warehouse.query(_IN_STATES)
    report.states = states.named()[0]
    report.folded = int(warehouse.value("SELECT sum(events) FROM customers"))
    report.rejected = int(warehouse.value("SELECT count() FROM dead_letters FINAL"))
    report.customers = int(warehouse.value("SELECT count() FROM customers WHERE NOT prospect"))
    report.open_alerts = int(warehouse.value("SELECT count() FROM alerts WHERE status = 'open'"))
    rows = warehouse.query(
        "SELECT name, total_rows FROM system.tables WHERE database = {d:String} AND "
        "engine LIKE '%MergeTree' ORDER BY name",
        {"d": settings.database},
    ).rows
    report.rows = {str(name): int(count) for name, count in rows}


def agrees(report: DemoReport, name: str, wanted: str) -> bool:
    figures = [report.figures.get(name), *([report.states.get(name)] if name in IN_STATES else [])]
    return all(figure == wanted for figure in figures)
