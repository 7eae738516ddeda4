"""Reports of the desk: what was done about an alert and what came of it, sent as an event.

The id of the event follows from the alert, how often it was opened, and what is reported, so that the same report sent
twice is one event; about an alert that was opened again it is another one. A further attempt with the same result
(nobody answered again) is another event only with a moment of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from pipeline import kafka
from pipeline.analysis import alerts
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import REASONS_OF
from pipeline.core.contract.moments import to_the_second
from pipeline.errors import BadEvent, Refused, Unreachable
from pipeline.topics import OUTCOMES

SOURCE = "loyalty alerts done"
_OPENED = ("raised", "reopened")


class DeskReport(NamedTuple):
    """What is reported about an alert, in the words of the contract; ``at``: when it happened, now without."""

    result: str
    action: str
    reason: str | None = None
    desk: str | None = None
    note: str | None = None
    at: datetime | None = None


class RecordedReport(NamedTuple):
    """A report as it is in the log, the alert it is about, and whether it had been there before."""

    event: dict[str, Any]
    alert: dict[str, Any]
    repeated: bool

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        return {**self.event, "held_out": self.alert["held_out"], "repeated": self.repeated}


def record(settings: Settings, identity: str, report: DeskReport) -> RecordedReport:
    """Send a report about the alert whose id begins with ``identity``; returns when the broker has confirmed it.

    Raises
    ------
    NotFound
        No alert begins like this, or more than one does.
    Refused
        The report is no valid event: its reason belongs to another result, say.
    Unreachable
        The broker did not confirm it; sent again it still counts once.
    """
    history, now = alerts.one(settings, identity), datetime.now(UTC)
    alert = history.alert
    event = event_of(alert, history.told, report, now)
    known = [outcome for outcome in history.outcomes if outcome["event_id"] == event["event_id"]]
    if known:
        return RecordedReport(event | {"occurred_at": str(known[0]["occurred_at"])}, alert, repeated=True)
    value = msgspec.json.encode(event)
    _check(value, report, now)
    _send(settings, str(alert["customer_id"]), value)
    return RecordedReport(event, alert, repeated=False)


def event_of(
    alert: dict[str, Any], messages: Sequence[dict[str, Any]], report: DeskReport, now: datetime
) -> dict[str, Any]:
    """A report as an event."""
    event: dict[str, Any] = {
        "event_id": _identity(alert, messages, report),
        "customer_id": alert["customer_id"],
        "occurred_at": to_the_second((report.at or now).astimezone(UTC)),
        "source": SOURCE,
        "alert_id": alert["alert_id"],
        "action": report.action,
        "result": report.result,
    }
    optional = {"reason": report.reason, "desk": report.desk, "note": report.note}
    return event | {name: value for name, value in optional.items() if value is not None}


def _identity(alert: dict[str, Any], messages: Sequence[dict[str, Any]], report: DeskReport) -> str:
    opened = sum(message["transition"] in _OPENED for message in messages)
    at = "" if report.at is None else report.at.astimezone(UTC).isoformat()
    said = [alert["alert_id"], opened, report.action, report.result, report.reason, report.desk, at]
    return f"done-{sha256(msgspec.json.encode(said)).hexdigest()[:32]}"


def _check(value: bytes, report: DeskReport, now: datetime) -> None:
    """Whether the worker will take the event."""
    known = {str(result): ", ".join(reasons) for result, reasons in REASONS_OF.items()}[report.result]
    if report.reason is not None and report.reason not in known.split(", "):
        raise Refused(f"the reason {report.reason} does not go with {report.result}; those that do: {known}")
    try:
        Decoder("alert_outcome")(value, now)
    except BadEvent as bad:
        raise Refused(f"the report is no valid event: {bad}") from None


def _send(settings: Settings, customer_id: str, value: bytes) -> None:
    def not_taken(failures: Sequence[str | None]) -> Unreachable:
        return Unreachable(f"Kafka did not take the report ({failures}); send it again, it counts once")

    kafka.verify_topics(settings)
    producer = kafka.producer(settings, "desk")
    with kafka.send_confirmed(producer, not_taken) as sending:
        sending.send(settings.topic(OUTCOMES.name), customer_id.encode(), value)
