"""``loyalty warehouse parameters``: which parameters are on record, and putting a file on record."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.commands import output
from pipeline.commands.tables import identity
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.warehouse import model_registry
from pipeline.warehouse.client import Warehouse, connect


def opened(settings: Settings, table: str = "parameter_versions") -> Warehouse:
    """The warehouse, which has what this needs.

    Raises
    ------
    Refused
        It lacks the table.
    """
    warehouse = connect(settings)
    known = warehouse.value(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name = {t:String}",
        {"d": settings.database, "t": table},
    )
    if not int(known):
        raise Refused(f"the warehouse has no table {table} yet; bring it up to date: loyalty warehouse migrate")
    return warehouse


def run(settings: Settings, file: Path | None, *, as_json: bool) -> None:
    """List what is on record; with a file, put that on record first and make it current.

    Raises
    ------
    Refused
        The file holds no parameters, or they make no sense; nothing is recorded then.
    """
    made = model_registry.read_file(file) if file is not None else None
    warehouse = opened(settings)
    now = datetime.now(UTC)
    model_registry.record_priors(warehouse, now)
    if made is not None:
        new = model_registry.record(warehouse, made, now)
        if not as_json:
            known = "" if new else " It was known already."
            output.say(f"{made.kind} {made.version} is on record and current now.{known}")
    found = collect(warehouse)
    output.as_json(found) if as_json else show(found)


def collect(warehouse: Warehouse) -> dict[str, Any]:
    """What is on record, and which versions alerts mention that are not."""
    answer = warehouse.query(
        "SELECT kind, version, current, toString(content_hash) AS content_hash, parameters, origin, recorded_at, "
        "current_from FROM parameters ORDER BY kind, current_from DESC, version DESC"
    )
    return {
        "parameters": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows],
        "unrecorded": {
            str(version): int(alerts) for version, alerts in warehouse.query(model_registry.UNRECORDED).rows
        },
    }


def show(found: dict[str, Any]) -> None:
    """For a person."""
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
            for row in found["parameters"]
        ],
    )
    for version, alerts in found["unrecorded"].items():
        output.say(
            f"{alerts} alerts mention the risk policy {version}, which is not on record: "
            "loyalty warehouse parameters FILE, with the file their workers use."
        )
