"""The status of the stack: processes, lag per topic, progress, and the newest event of each topic."""

import contextlib
from collections.abc import Mapping
from typing import Any

from pipeline import continuity, kafka
from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import LoyaltyError
from pipeline.operations import health
from pipeline.operations.lag import topic_lags
from pipeline.operations.stopped_inputs import standing
from pipeline.warehouse.client import connect

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
    topics = _part(lambda: _topics(settings))
    here = _processes(settings)
    unwell = {f"{entry['process']}s": entry["process"] for entry in here["processes"] if entry["why"]}
    return {
        "data_dir": str(settings.directory),
        **here,
        "topics": topics,
        "progress": _part(lambda: _progress(settings, unwell, topics)) if isinstance(topics, list) else topics,
        "last_events": _part(lambda: _last_events(settings)),
    }


def _topics(settings: Settings) -> list[dict[str, Any]]:
    """How far each topic is read; offsets say nothing where one is not the topic that was read."""
    kafka.verify_topics(settings)
    with contextlib.closing(Suppressions(settings)) as suppressions:
        continuity.check(settings, continuity.look(settings, suppressions, ["worker"]), "worker", {})
    why = standing(settings)
    return [lag._asdict() | {"stands": why.get(lag.topic)} for lag in topic_lags(settings)]


def _part(read: Any) -> Any:
    try:
        return read()
    except LoyaltyError as failed:
        return {"error": str(failed)}


def _processes(settings: Settings) -> dict[str, Any]:
    processes = [_process(verdict) for verdict in health.processes(settings)]
    return {"processes": processes[:-1], "supervisor": processes[-1] if processes else None}


def _process(verdict: health.HealthVerdict) -> dict[str, Any]:
    return {
        "process": verdict.name,
        "pid": verdict.pid,
        "running": verdict.well,
        "state": verdict.state,
        "why": verdict.why,
        "memory_mb": verdict.memory_mb,
        "restarts": verdict.restarts,
    }


def _progress(settings: Settings, unwell: Mapping[str, str], topics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How workers and sinks get on; where one of this machine is not well, what was said of it is the remedy."""
    stands = {topic["topic"] for topic in topics if topic["stands"]}
    return [
        {
            "who": verdict.name,
            "well": verdict.well,
            "state": verdict.state,
            "why": f"the {unwell[verdict.name]} is not well, see above"
            if verdict.state == "none" and verdict.name in unwell
            else verdict.why,
        }
        for verdict in health.progress(settings, stands)
    ]


def _last_events(settings: Settings) -> list[dict[str, Any]]:
    rows = connect(settings, seconds=5).query(_LAST).rows
    return [
        {"topic": topic, "last_event_at": event if int(n) else None, "last_received_at": received if int(n) else None}
        for topic, event, received, n in rows
    ]


def is_healthy(stack: dict[str, Any]) -> bool:
    """Whether everything that should run does, answers, and gets on."""
    return (
        all(entry["running"] for entry in stack["processes"])
        and (stack["supervisor"] is None or stack["supervisor"]["running"])
        and isinstance(stack["topics"], list)
        and not any(topic["stands"] for topic in stack["topics"])
        and isinstance(stack["last_events"], list)
        and isinstance(stack["progress"], list)
        and all(entry["well"] for entry in stack["progress"])
    )
