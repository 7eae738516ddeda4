"""``loyalty demo``: real purchases and simulated service through the whole pipeline, and a report of what came out."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.commands import alerts, local, output, questions, sending
from pipeline.commands.progress import wait_until_done
from pipeline.commands.tables import of_answer
from pipeline.config import Settings
from pipeline.errors import LoyaltyError
from pipeline.simulate import population
from pipeline.warehouse.client import Warehouse, connect

SEED = 1
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
class Report:
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
            "seconds": self.seconds,
        }


@contextmanager
def timed(report: Report, stage: str) -> Iterator[None]:
    """Note how long a stage takes."""
    started = time.monotonic()
    yield
    report.seconds[stage] = round(time.monotonic() - started, 1)


def run(settings: Settings, *, as_json: bool, leave: bool) -> LoyaltyError | None:
    """Start a stack, put everything through it, report, and stay up unless told to leave.

    Returns why it cannot be called a success, if so.
    """
    report = Report()
    started = time.monotonic()
    with local.running(settings):
        report.seconds["start"] = round(time.monotonic() - started, 1)
        _work(settings, report)
        output.as_json(report.as_data()) if as_json else show(settings, report)
        if not leave:
            local.addresses(settings)
            local.wait_for_the_end()
    if leave and getattr(sys.stdout, "lost", False):
        return LoyaltyError("the report could not be written: standard output is closed or full")
    if report.is_exact:
        return None
    return LoyaltyError("the figures in ClickHouse or the states differ from the file's; see the table above")


def _work(settings: Settings, report: Report) -> None:
    with timed(report, "send purchases"):
        report.sent["purchases"] = sending.cdnow_purchases(settings)
    with timed(report, "simulate and send service"):
        service = population.cdnow_service(SEED)
        for topic in ("service-contacts", "surveys"):
            report.sent[topic] = sum(name == topic for name, _ in service)
        sending.with_bar(settings, "contacts and surveys (synthetic)", len(service), service)
    with timed(report, "fold the rest"):
        wait_until_done(settings, "worker", 120)
    with timed(report, "until all is queryable"):
        wait_until_done(settings, "sink", 120)
    with timed(report, "count"):
        _examine(settings, connect(settings), report)


def _examine(settings: Settings, warehouse: Warehouse, report: Report) -> None:
    figures = warehouse.query(_FIGURES)
    report.figures = dict(zip(figures.columns, figures.rows[0], strict=True))
    states = warehouse.query(_IN_STATES)
    report.states = dict(zip(states.columns, states.rows[0], strict=True))
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


def show(settings: Settings, report: Report) -> None:
    """The report for a person."""
    output.table(["events", "sent"], [*report.sent.items(), ("all", sum(report.sent.values()))])
    output.say(
        f"{report.folded} events folded into {report.customers} customers; {report.rejected} rejected; "
        f"{report.open_alerts} alerts open. Contacts and surveys are synthetic, purchases are real."
    )
    output.table(
        ["CDNOW, out of ClickHouse", "found", "in states", "in the file", ""],
        [
            [
                name.replace("_", " "),
                report.figures.get(name, "nothing"),
                report.states.get(name, "nothing") if name in IN_STATES else "",
                wanted,
                "exact" if _agrees(report, name, wanted) else "DIFFERS",
            ]
            for name, wanted in EXPECTED.items()
        ],
    )
    _show_alert(settings)
    output.table(["table", "rows"], list(report.rows.items()))
    warehouse = connect(settings)
    for number, question in enumerate(questions.shipped()[:5], start=1):
        answer = question.ask(warehouse)
        output.say(f"{number}. {question.text}\n\n{question.sql}\n")
        output.table(of_answer(answer.columns, answer.types, answer.rows), answer.rows)
    output.table(["stage", "seconds"], [*report.seconds.items(), ("all", round(sum(report.seconds.values()), 1))])


def _agrees(report: Report, name: str, wanted: str) -> bool:
    found = [report.figures.get(name), *([report.states.get(name)] if name in IN_STATES else [])]
    return all(figure == wanted for figure in found)


def _show_alert(settings: Settings) -> None:
    newest = alerts.listed(settings, "open", "critical", 1) or alerts.listed(settings, "open", None, 1)
    if newest:
        alerts.show_one(*alerts.one(settings, newest[0]["alert_id"]))
