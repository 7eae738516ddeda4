"""Prints alerts, messages to the desk, reports of the desk, and outcomes that name no alert."""

from typing import Any

from pipeline.analysis.alerts import ASTRAY_MOST, AlertHistory, ListedAlerts
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of
from pipeline.cli.printing.tables import identity, prose
from pipeline.core.risk.alerts import FINAL_RESULTS
from pipeline.operations.desk_reports import RecordedReport

ASTRAY_SHOWN = 5


def show_astray(outcomes: list[dict[str, Any]]) -> None:
    """How many there are and the newest of them, for a person; nothing where there are none."""
    if not outcomes:
        return
    many = f"{ASTRAY_MOST} outcomes or more" if len(outcomes) == ASTRAY_MOST else f"{len(outcomes)} outcomes"
    output.say(f"{many} name no alert of their customer and closed nothing; send them with the whole id:")
    output.table(
        [identity("outcome"), identity("customer"), "alert it names", prose("why")],
        [
            [
                outcome["event_id"],
                outcome["customer_id"],
                outcome["alert_id"],
                f"the alert of customer {outcome['belongs_to']}" if outcome["belongs_to"] else "there is no such alert",
            ]
            for outcome in outcomes[:ASTRAY_SHOWN]
        ],
    )


def show_list(listed: ListedAlerts) -> None:
    """A list for a person."""
    alerts = listed.alerts
    output.say(f"{as_of(listed.moment)}.")
    if not alerts:
        output.say("No such alerts.")
        return
    several = len({a["status"] for a in alerts}) > 1
    rows = [
        [
            a["alert_id"][:12],
            a["customer_id"],
            str(a["raised_at"])[:10],
            a["severity"],
            *([a["status"]] if several else []),
            f"{float(a['churn_risk_0_1']):.0%}",
            _money(a),
            ("(synthetic) " if a["synthetic"] else "") + " ".join(a["reasons"]),
        ]
        for a in alerts
    ]
    status = ["status"] if several else []
    output.table(
        [
            identity("alert"),
            identity("customer"),
            "raised",
            "severity",
            *status,
            "risk",
            "pays a year",
            prose("why", cut=True),
        ],
        rows,
    )


def show_one(history: AlertHistory) -> None:
    """One alert for a person."""
    alert = history.alert
    risk, before = float(alert["churn_risk_0_1"]), float(alert["churn_risk_before_0_1"])
    lines = [
        f"Alert {alert['alert_id']}",
        f"{as_of(history.moment)}.",
        f"Customer {output.clean(alert['customer_id'])}, issue {output.clean(alert['issue_id'])}"
        + (" (synthetic contacts)" if alert["synthetic"] else ""),
        f"{alert['status']}, {alert['severity']}: churn risk {before:.0%} before the contact, {risk:.0%} now.",
        _worth(alert),
        "",
        "Why:",
        *(f"  - {reason}" for reason in alert["reasons"]),
        "",
        f"Next: {alert['recommended_action']}",
        f"So far: {output.clean(alert['history'])}",
        "",
        "Told the desk (UTC):",
        *(
            f"  {str(t['told_at'])[:19]}  {t['transition']:<10} {t['severity']:<9} {float(t['churn_risk_0_1']):>4.0%}  "
            f"about {str(t['occurred_at'])[:19]}"
            for t in history.told
        ),
    ]
    for line in lines:
        output.say(line)
    show_outcomes(history.outcomes)


def _worth(alert: dict[str, Any]) -> str:
    if not alert["currency"]:
        return "Worth: has paid nothing so far."
    return f"Worth: pays {_money(alert)} a year; times the risk that is {_money(alert, 'expected_loss')}."


def _money(alert: dict[str, Any], what: str = "value_at_stake") -> str:
    """An amount a year in the customer's main currency; nothing where they never paid."""
    return f"{float(alert[what]):,.0f} {output.clean(alert['currency'])}" if alert["currency"] else ""


def show_outcomes(outcomes: list[dict[str, Any]]) -> None:
    """Who did what about an alert, and what came of it."""
    output.say("")
    output.say("Done about it (UTC):" if outcomes else "Nobody said yet what was done about it: loyalty alerts done ID")
    for outcome in outcomes:
        why = f" ({outcome['reason']})" if outcome["reason"] else ""
        by = (
            f"  by {output.clean(outcome['desk'] or outcome['source'])}" if outcome["desk"] or outcome["source"] else ""
        )
        note = f": {output.clean(outcome['note'])}" if outcome["note"] else ""
        output.say(f"  {str(outcome['occurred_at'])[:19]}  {outcome['action']}, {outcome['result']}{why}{by}{note}")


def show_recorded(recorded: RecordedReport) -> None:
    """That a report is in the log, and what follows from it."""
    event = recorded.event
    if recorded.repeated:
        output.say(
            f"This was reported already, for {event['occurred_at'][:19]}; nothing was sent. "
            "Another attempt has a moment of its own: --when."
        )
        return
    why = f" ({event['reason']})" if "reason" in event else ""
    then = (
        "The alert is closed once a worker has read it."
        if event["result"] in FINAL_RESULTS
        else "The alert stays open."
    )
    output.say(f"Kafka has it: {event['action']}, {event['result']}{why}, alert {event['alert_id'][:12]}. {then}")
    if recorded.alert["held_out"]:
        output.say(
            "This customer is held out: nobody was to act for them. The experiment now measures less than acting does."
        )


def show_message(alert: dict[str, Any]) -> None:
    """One message in one line."""
    why = " ".join(alert["reasons"][:2])
    output.say(
        f"{alert['occurred_at'][:19]}  {alert['transition']:<10} {alert['severity']:<9} "
        f"{alert['churn_risk_0_1']:.0%}  customer {output.clean(alert['customer_id'])}  {why}  "
        f"[{alert['alert_id'][:12]}]"
    )
