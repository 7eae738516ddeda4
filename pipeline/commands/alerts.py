"""``loyalty alerts``: what the service desk works from until it has its page."""

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.commands import output
from pipeline.commands.tables import identity, prose
from pipeline.config import Settings
from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import NotFound, Unreachable
from pipeline.topics import ALERTS
from pipeline.warehouse.client import connect

ASTRAY_SHOWN, ASTRAY_MOST = 5, 1_000
_COLUMNS = (
    "alert_id, customer_id, issue_id, status, severity, transition, churn_risk_0_1, churn_risk_before_0_1, "
    "raised_at, occurred_at, told_at, reasons, recommended_action, history, held_out, synthetic"
)


def listed(
    settings: Settings, status: str, severity: str | None, limit: int, *, held_out: bool = False
) -> list[dict[str, Any]]:
    """Alerts as they stand, newest first: those for the desk, or those that are held out; none of imported history."""
    found = connect(settings, seconds=30).query(
        f"SELECT {_COLUMNS} FROM alerts WHERE ({{s:String}} = 'all' OR status = {{s:String}}) "  # noqa: S608 - constants
        "AND ({v:String} = '' OR severity = {v:String}) AND held_out = {h:Bool} AND NOT backfill "
        "ORDER BY raised_at DESC, alert_id LIMIT {n:UInt32}",
        {"s": status, "v": severity or "", "n": limit, "h": held_out},
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


_ASTRAY = """
    SELECT event_id, customer_id, alert_id, known.customer_id AS belongs_to, occurred_at
    FROM (SELECT * FROM raw_alert_outcomes WHERE _appended_at < now64(3) - INTERVAL 1 MINUTE) AS said
    LEFT ANY JOIN (SELECT alert_id, customer_id FROM alert_states FINAL) AS known USING (alert_id)
    WHERE known.customer_id != said.customer_id
    ORDER BY occurred_at DESC, event_id
    LIMIT 1 BY customer_id, event_id
    LIMIT {most:UInt32}
"""


def astray(settings: Settings) -> list[dict[str, Any]]:
    """Outcomes that name no alert of their customer, newest first: they closed nothing.

    ``belongs_to`` is the customer whose alert it is, or empty where there is no such alert: an id that was shortened or
    mistyped. Outcomes of the last minute are left out: their alert may be on its way.
    """
    found = connect(settings, seconds=30).query(_ASTRAY, {"most": ASTRAY_MOST})
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


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


def one(settings: Settings, identity: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An alert by its id or the beginning of it, and everything the desk was told about it, oldest first.

    Raises
    ------
    NotFound
        No alert begins like this, or more than one does.
    """
    warehouse = connect(settings, seconds=30)
    found = warehouse.query(
        f"SELECT {_COLUMNS}, terms, logits, contact_ids FROM alerts "  # noqa: S608 - constants
        "WHERE startsWith(alert_id, {a:String}) LIMIT 2",
        {"a": identity},
    )
    if len(found.rows) != 1:
        raise NotFound(
            f"{'no' if not found.rows else 'more than one'} alert has an id that begins with {identity!r}; "
            "`loyalty alerts list` shows them"
        )
    alert = dict(zip(found.columns, found.rows[0], strict=True))
    told = warehouse.query(
        "SELECT transition, severity, churn_risk_0_1, occurred_at, _appended_at AS told_at, caused_by_event FROM "
        "alert_messages WHERE alert_id = {a:String} ORDER BY _offset",
        {"a": alert["alert_id"]},
    )
    return alert, [dict(zip(told.columns, row, strict=True)) for row in told.rows]


def show_list(alerts: list[dict[str, Any]]) -> None:
    """A list for a person."""
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


def show_one(alert: dict[str, Any], told: list[dict[str, Any]]) -> None:
    """One alert for a person."""
    risk, before = float(alert["churn_risk_0_1"]), float(alert["churn_risk_before_0_1"])
    lines = [
        f"Alert {alert['alert_id']}",
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
            for t in told
        ),
    ]
    for line in lines:
        output.say(line)


def tailed(settings: Settings, count: int | None) -> Iterator[dict[str, Any]]:
    """Messages to the desk as they come, from now on, straight from the topic."""
    reader = kafka.consumer(settings, "tail", settings.group("tail"))
    try:
        ends = kafka.end_offsets(settings, [ALERTS])
        reader.assign(
            [TopicPartition(settings.topic(name), partition, end) for (name, partition), (_, end) in ends.items()]
        )
        seen = 0
        while count is None or seen < count:
            message = reader.poll(0.5)
            if message is None:
                continue
            if message.error() is not None:
                raise Unreachable(f"Kafka stopped answering: {message.error().str()}")
            try:
                alert = msgspec.json.decode(message.value() or b"", type=ChurnAlert)
            except UNREADABLE:
                continue  # somebody else wrote into the topic
            if not (alert.held_out or alert.backfill):
                yield msgspec.to_builtins(alert)
                seen += 1
    finally:
        reader.close()


def show_message(alert: dict[str, Any]) -> None:
    """One message in one line."""
    why = " ".join(alert["reasons"][:2])
    output.say(
        f"{alert['occurred_at'][:19]}  {alert['transition']:<10} {alert['severity']:<9} "
        f"{alert['churn_risk_0_1']:.0%}  customer {output.clean(alert['customer_id'])}  {why}  "
        f"[{alert['alert_id'][:12]}]"
    )
