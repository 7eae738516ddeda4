"""Prints the status of the stack."""

from typing import Any

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import prose
from pipeline.kafka.stopped_inputs import stands


def show(found: dict[str, Any]) -> None:
    """For a person."""
    if found["processes"]:
        output.table(
            ["process", prose("state"), "pid", "memory", "restarts"],
            [
                [
                    p["process"],
                    p["state"],
                    p["pid"],
                    f"{p['memory_mb']} MB" if p["memory_mb"] else "",
                    p["restarts"],
                ]
                for p in found["processes"]
            ],
        )
        _complain([found["supervisor"], *found["processes"]], "process")
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
        _show_progress(found["progress"])
        for topic in found["topics"]:
            if topic["stands"]:
                output.say(str(stands(topic["topic"], topic["stands"])))
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


def _show_progress(progress: Any) -> None:
    if isinstance(progress, list):
        _complain(progress, "who")
    else:
        output.say(f"Progress: {progress['error']}")


def _complain(entries: list[dict[str, Any]], name: str) -> None:
    """One line for whoever is not well."""
    for entry in entries:
        if entry["why"]:
            output.say(f"{entry[name]}: {entry['state']}. {entry['why']}")
