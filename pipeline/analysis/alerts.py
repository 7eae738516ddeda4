"""Alerts for the service desk: a list, one in full, the messages as they come, and outcomes that name no alert.

What is at stake is what the customer paid a year, less what was paid back, in the currency in which that is most:
from the first purchase until the alert was raised, a year at least. Currencies are not converted; their amounts are
compared as numbers.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.analysis import answer_moments
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import NotFound, Unreachable
from pipeline.topics import ALERTS
from pipeline.warehouse.client import connect

ASTRAY_MOST = 1_000
_COLUMNS = (
    "alert_id, customer_id, issue_id, status, severity, transition, churn_risk_0_1, churn_risk_before_0_1, "
    "raised_at, occurred_at, told_at, reasons, recommended_action, history, held_out, synthetic"
)

_MESSAGES = """
    SELECT transition, severity, churn_risk_0_1, occurred_at, _appended_at AS told_at, caused_by_event
    FROM alert_messages
    WHERE alert_id = {a:String} AND ({all:Bool} OR occurred_at <= {at:DateTime64(3, 'UTC')})
    ORDER BY _offset
"""
_OUTCOMES = """
    SELECT occurred_at, action, result, reason, desk, note, source, event_id FROM alert_outcomes
    WHERE customer_id = {c:String} AND alert_id = {a:String}
      AND ({all:Bool} OR occurred_at <= {at:DateTime64(3, 'UTC')})
    ORDER BY occurred_at, event_id
"""


class ListedAlerts(NamedTuple):
    """Alerts, and the moment as of which they stood so."""

    moment: AnswerMoment
    alerts: list[dict[str, Any]]

    def as_data(self) -> list[dict[str, Any]]:
        """For a program."""
        return [alert | answer_moments.as_data(self.moment) for alert in self.alerts]


class AlertHistory(NamedTuple):
    """An alert, the moment as of which it stood so, what the desk had been told and had reported, oldest first."""

    moment: AnswerMoment
    alert: dict[str, Any]
    told: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    """Who did what, and what came of it."""

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        return self.alert | answer_moments.as_data(self.moment) | {"told": self.told, "outcomes": self.outcomes}


def _source(at: datetime | None) -> str:
    """Alerts as they stand, the last word about each, with what their customers paid; or both as at a moment."""
    source, worth = ("alerts", _WORTH) if at is None else ("alerts_at(at = {at:DateTime64(3, 'UTC')})", _WORTH_AT)
    return f"{source} AS alert LEFT ANY JOIN ({worth}) AS worth USING (customer_id)"


_WORTH = """
    SELECT customer_id, first_purchase_at,
        arrayReverseSort(pair -> pair.2, arrayMap(
            (code, paid) -> (toString(code), toFloat64(paid) - toFloat64(refunded[code])),
            mapKeys(spent), mapValues(spent)))[1] AS most
    FROM customers
"""
_WORTH_AT = """
    SELECT customer_id, min(first_at) AS first_purchase_at, argMax((toString(currency), net), net) AS most
    FROM (
        SELECT customer_id, currency, toFloat64(sum(amount)) AS net, minIf(occurred_at, refund_of = '') AS first_at
        FROM purchases
        WHERE occurred_at <= {at:DateTime64(3, 'UTC')} AND customer_id IN (SELECT customer_id FROM alert_states)
        GROUP BY customer_id, currency
    )
    GROUP BY customer_id
"""
_AT_STAKE = """
    most.2 / greatest(1, dateDiff('second', first_purchase_at, raised_at) / 31536000) AS value_at_stake,
    most.1 AS currency, churn_risk_0_1 * value_at_stake AS expected_loss
"""
SORTS = {"value": "expected_loss DESC, ", "risk": "churn_risk_0_1 DESC, ", "raised": ""}
"""By what alerts are listed; what is alike, the newest first."""


def listed(
    settings: Settings,
    status: str,
    severity: str | None,
    limit: int,
    *,
    held_out: bool = False,
    sort: str = "value",
    at: datetime | None = None,
) -> ListedAlerts:
    """Alerts for the desk, or those that are held out; none of imported history.

    By ``value`` they are in the order of what is expected to be lost: the risk times what is at stake.
    """
    warehouse = connect(settings, seconds=30)
    moment = answer_moments.moment_of_answer(warehouse, at)
    answer = warehouse.query(
        f"SELECT {_COLUMNS}, {_AT_STAKE} "  # noqa: S608 - constants
        f"FROM {_source(at)} "
        "WHERE ({s:String} = 'all' OR status = {s:String}) "
        "AND ({v:String} = '' OR severity = {v:String}) AND held_out = {h:Bool} AND NOT backfill "
        f"ORDER BY {SORTS[sort]}raised_at DESC, alert_id LIMIT {{n:UInt32}}",
        {"s": status, "v": severity or "", "n": limit, "h": held_out, "at": answer_moments.in_sql(moment.at)},
    )
    return ListedAlerts(moment, answer.named())


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
    answer = connect(settings, seconds=30).query(_ASTRAY, {"most": ASTRAY_MOST})
    return answer.named()


def one(settings: Settings, identity: str, at: datetime | None = None) -> AlertHistory:
    """An alert by its id or the beginning of it.

    Raises
    ------
    NotFound
        No alert begins like this, or more than one does.
    """
    warehouse = connect(settings, seconds=30)
    moment = answer_moments.moment_of_answer(warehouse, at)
    known: dict[str, Any] = {"at": answer_moments.in_sql(moment.at)}
    answer = warehouse.query(
        f"SELECT {_COLUMNS}, {_AT_STAKE}, terms, logits, contact_ids "  # noqa: S608 - constants
        f"FROM {_source(at)} "
        "WHERE startsWith(alert_id, {a:String}) LIMIT 2",
        known | {"a": identity},
    )
    if len(answer.rows) != 1:
        raise NotFound(
            f"{'no' if not answer.rows else 'more than one'} alert{'' if at is None else ' of that moment'} has an id "
            f"that begins with {identity!r}; `loyalty alerts list` shows them"
        )
    alert = answer.named()[0]
    known |= {"a": alert["alert_id"], "c": alert["customer_id"], "all": at is None}
    messages, outcomes = warehouse.query(_MESSAGES, known), warehouse.query(_OUTCOMES, known)
    return AlertHistory(
        moment,
        alert,
        messages.named(),
        outcomes.named(),
    )


def tailed(settings: Settings, count: int | None, **wanted: str | None) -> Iterator[dict[str, Any]]:
    """Messages to the desk as they come, from now on, straight from the topic.

    ``wanted`` names fields of a message and the value that they must have; ``None`` wants nothing.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
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
            if alert.held_out or alert.backfill:
                continue
            if all(getattr(alert, name) == value for name, value in asked.items()):
                yield msgspec.to_builtins(alert)
                seen += 1
    finally:
        reader.close()
