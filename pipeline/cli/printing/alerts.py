"""Prints alerts, messages to the desk, and outcomes that name no alert."""

from typing import Any

from pipeline.analysis.alerts import ASTRAY_MOST, AlertHistory, ListedAlerts
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of
from pipeline.cli.printing.tables import identity, prose

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
            ("(synthetic) " if a["synthetic"] else "") + " ".join(a["reasons"]),
        ]
        for a in alerts
    ]
    status = ["status"] if several else []
    output.table(
        [identity("alert"), identity("customer"), "raised", "severity", *status, "risk", prose("why", cut=True)], rows
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


def show_message(alert: dict[str, Any]) -> None:
    """One message in one line."""
    why = " ".join(alert["reasons"][:2])
    output.say(
        f"{alert['occurred_at'][:19]}  {alert['transition']:<10} {alert['severity']:<9} "
        f"{alert['churn_risk_0_1']:.0%}  customer {output.clean(alert['customer_id'])}  {why}  "
        f"[{alert['alert_id'][:12]}]"
    )
