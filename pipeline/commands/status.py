"""``loyalty status``: what runs, how far behind it is, when something last happened."""

from typing import Any

import psutil

from pipeline.commands import output
from pipeline.commands.progress import behind
from pipeline.config import Settings
from pipeline.errors import LoyaltyError
from pipeline.local import stack
from pipeline.sink.warehouse import connect

_LAST = """
SELECT * FROM (
SELECT 'purchases' AS topic, toString(max(occurred_at)) AS event, toString(max(_appended_at)) AS received, count() AS n
FROM raw_purchases
UNION ALL SELECT 'service-contacts', toString(max(occurred_at)), toString(max(_appended_at)), count()
FROM raw_service_contacts
UNION ALL SELECT 'surveys', toString(max(occurred_at)), toString(max(_appended_at)), count() FROM raw_survey_responses
UNION ALL SELECT 'alert-outcomes', toString(max(occurred_at)), toString(max(_appended_at)), count()
FROM raw_alert_outcomes
) ORDER BY topic
"""


def collect(settings: Settings) -> dict[str, Any]:
    """Everything ``status`` shows; a part that cannot be had says why instead."""
    known = stack.record(settings.directory)
    return {
        "data_dir": str(settings.directory),
        "processes": _processes(known),
        "topics": _part(lambda: [lag._asdict() for lag in behind(settings)]),
        "last_events": _part(lambda: _last_events(settings)),
    }


def _part(read: Any) -> Any:
    try:
        return read()
    except LoyaltyError as failed:
        return {"error": str(failed)}


def _processes(known: dict[str, Any] | None) -> list[dict[str, Any]]:
    found = []
    for name, entry in (known or {}).get("processes", {}).items():
        try:
            memory = psutil.Process(entry["pid"]).memory_info().rss // 1_000_000
        except (psutil.Error, TypeError):
            memory = None
        found.append(
            {
                "process": name,
                "pid": entry["pid"],
                "running": memory is not None,
                "memory_mb": memory,
                "restarts": entry["restarts"],
            }
        )
    return found


def _last_events(settings: Settings) -> list[dict[str, Any]]:
    rows = connect(settings, seconds=10).query(_LAST).rows
    return [
        {"topic": topic, "last_event_at": event if int(n) else None, "last_received_at": received if int(n) else None}
        for topic, event, received, n in rows
    ]


def is_healthy(found: dict[str, Any]) -> bool:
    """Whether everything that should run does, and answers."""
    return (
        all(entry["running"] for entry in found["processes"])
        and isinstance(found["topics"], list)
        and isinstance(found["last_events"], list)
    )


def show(found: dict[str, Any]) -> None:
    """For a person."""
    if found["processes"]:
        output.table(
            ["process", "state", "pid", "memory", "restarts"],
            [
                [
                    p["process"],
                    "running" if p["running"] else "DOWN",
                    p["pid"],
                    f"{p['memory_mb']} MB" if p["memory_mb"] else "",
                    p["restarts"],
                ]
                for p in found["processes"]
            ],
        )
    else:
        output.say(f"No local stack runs on {found['data_dir']}.")
    if isinstance(found["topics"], list):
        output.table(
            ["topic", "records", "worker behind", "sink behind"],
            [
                [t["topic"], t["records"], "-" if t["worker"] is None else t["worker"], t["sink"]]
                for t in found["topics"]
            ],
        )
    else:
        output.say(f"Topics: {found['topics']['error']}")
    if isinstance(found["last_events"], list):
        output.table(
            ["topic", "newest event (UTC)", "last received (UTC)"],
            [
                [e["topic"], e["last_event_at"] or "none yet", e["last_received_at"] or "none yet"]
                for e in found["last_events"]
            ],
        )
    else:
        output.say(f"Warehouse: {found['last_events']['error']}")
