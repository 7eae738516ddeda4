"""Prints the parameters on record."""

from typing import Any

from pipeline.analysis.parameters import Recorded
from pipeline.cli.printing import output
from pipeline.cli.printing.tables import identity


def show(recorded: Recorded | None, on_record: dict[str, Any]) -> None:
    """What was put on record, if anything, and what is on record."""
    if recorded is not None:
        known = "" if recorded.new else " It was known already."
        output.say(f"{recorded.kind} {recorded.version} is on record and current now.{known}")
    output.table(
        [identity("kind"), identity("version"), "current", "recorded", "content"],
        [
            [
                row["kind"],
                row["version"],
                "yes" if row["current"] else "",
                row["recorded_at"][:16],
                row["content_hash"][:8],
            ]
            for row in on_record["parameters"]
        ],
    )
    for version, alerts in on_record["unrecorded"].items():
        output.say(
            f"{alerts} alerts mention the risk policy {version}, which is not on record: "
            "loyalty warehouse parameters FILE, with the file their workers use."
        )
