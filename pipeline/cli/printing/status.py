"""Prints the status of the stack."""

from typing import Any

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import prose
from pipeline.kafka.stopped_inputs import stands


def show(stack: dict[str, Any]) -> None:
    """For a person."""
    if stack["processes"]:
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
                for p in stack["processes"]
            ],
        )
        _complain([stack["supervisor"], *stack["processes"]], "process")
    else:
        output.say(f"No local stack runs on {stack['data_dir']}.")
    if isinstance(stack["topics"], list):
        output.table(
            ["topic", "records", "worker behind", "sink behind"],
            [
                [t["topic"], t["records"], "-" if t["worker"] is None else t["worker"], t["sink"]]
                for t in stack["topics"]
            ],
        )
        _show_progress(stack["progress"])
        for topic in stack["topics"]:
            if topic["stands"]:
                output.say(str(stands(topic["topic"], topic["stands"])))
    else:
        output.say(f"Topics: {stack['topics']['error']}")
    if isinstance(stack["last_events"], list):
        output.table(
            ["topic", "newest event (UTC)", "last received (UTC)"],
            [
                [e["topic"], e["last_event_at"] or "none yet", e["last_received_at"] or "none yet"]
                for e in stack["last_events"]
            ],
        )
    else:
        output.say(f"Warehouse: {stack['last_events']['error']}")


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
