"""Runs a demo on a local stack, and prints its report."""

import sys
import time

from pipeline.analysis import alerts, cookbook
from pipeline.analysis.demo_report import EXPECTED, IN_STATES, DemoReport, agrees, examine, timed
from pipeline.cli.printing import alerts as alert_printing
from pipeline.cli.printing import local_stack, output
from pipeline.cli.printing.tables import of_answer
from pipeline.config import Settings
from pipeline.errors import LoyaltyError
from pipeline.operations.lag import wait_until_done
from pipeline.simulate import event_senders, population
from pipeline.warehouse.client import connect
from pipeline.webhooks import demonstration

SEED = 1


def run(settings: Settings, *, as_json: bool, leave: bool) -> LoyaltyError | None:
    """Start a stack, put everything through it, report, and stay up unless told to leave.

    Returns why it cannot be called a success, if so.
    """
    report = DemoReport()
    started = time.monotonic()
    with local_stack.running(settings):
        report.seconds["start"] = round(time.monotonic() - started, 1)
        _work(settings, report)
        output.as_json(report.as_data()) if as_json else show(settings, report)
        if not leave:
            local_stack.addresses(settings)
            local_stack.wait_for_the_end()
    if leave and getattr(sys.stdout, "lost", False):
        return LoyaltyError("the report could not be written: standard output is closed or full")
    if report.is_exact:
        return None
    return LoyaltyError("the figures in ClickHouse or the states differ from the file's; see the table above")


def _work(settings: Settings, report: DemoReport) -> None:
    with timed(report, "send purchases"):
        report.sent["purchases"] = event_senders.cdnow_purchases(settings, output.counted)
    with timed(report, "simulate and send service"):
        service = population.cdnow_service(SEED)
        for topic in ("service-contacts", "surveys"):
            report.sent[topic] = sum(name == topic for name, _ in service)
        event_senders.send_events(settings, "contacts and surveys (synthetic)", len(service), service, output.counted)
    with timed(report, "fold the rest"):
        wait_until_done(settings, "worker", 120)
    with timed(report, "until all is queryable"):
        wait_until_done(settings, "sink", 120)
    with timed(report, "count"):
        examine(settings, connect(settings), report)
    with timed(report, "tell a receiver"):
        newest = _newest(settings)
        delivery = demonstration.delivered(settings, newest) if newest is not None else None
        report.delivery = delivery._asdict() if delivery is not None else {}


def show(settings: Settings, report: DemoReport) -> None:
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
                "exact" if agrees(report, name, wanted) else "DIFFERS",
            ]
            for name, wanted in EXPECTED.items()
        ],
    )
    _show_alert(settings, report)
    output.table(["table", "rows"], list(report.rows.items()))
    warehouse = connect(settings)
    for number, question in enumerate(cookbook.shipped()[:5], start=1):
        answer = question.ask(warehouse)
        output.say(f"{number}. {question.text}\n\n{question.sql}\n")
        output.table(of_answer(answer.columns, answer.types, answer.rows), answer.rows)
    output.table(["stage", "seconds"], [*report.seconds.items(), ("all", round(sum(report.seconds.values()), 1))])


def _newest(settings: Settings) -> str | None:
    critical, any_ = (
        alerts.listed(settings, "open", severity, 1, sort="raised").alerts for severity in ("critical", None)
    )
    newest = critical or any_
    return str(newest[0]["alert_id"]) if newest else None


def _show_alert(settings: Settings, report: DemoReport) -> None:
    """The newest alert, and its first message as a receiver of webhooks got it."""
    newest = _newest(settings)
    if newest is None:
        return
    alert_printing.show_one(alerts.one(settings, newest))
    if not report.delivery:
        output.say("The notifier did not tell a receiver on this machine in time; `loyalty status` says why.")
        return
    delivery = report.delivery
    output.say(
        f"Told as a webhook to a receiver at {delivery['url']} after {delivery['seconds']} s; its signature is "
        f"{'right' if delivery['verified'] else 'WRONG'}: {delivery['message_id']}, {delivery['body']['type']}."
    )
