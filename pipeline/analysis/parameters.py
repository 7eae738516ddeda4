"""Lists the parameters on record in the warehouse, and records a file of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

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


class Recorded(NamedTuple):
    """Parameters that were put on record, and whether they were new."""

    kind: str
    version: str
    new: bool


def put_on_record(settings: Settings, file: Path | None) -> tuple[Recorded | None, dict[str, Any]]:
    """Put a file on record and make it current, where one is named; returns that, and all that is on record then.

    Raises
    ------
    Refused
        The file holds no parameters, or they make no sense; nothing is recorded then.
    """
    parameters = model_registry.read_file(file) if file is not None else None
    warehouse = opened(settings)
    now = datetime.now(UTC)
    model_registry.record_priors(warehouse, now)
    recorded = None
    if parameters is not None:
        new = model_registry.record(warehouse, parameters, now)
        recorded = Recorded(parameters.kind, parameters.version, new)
    return recorded, collect(warehouse)


def collect(warehouse: Warehouse) -> dict[str, Any]:
    """What is on record, and which versions alerts mention that are not."""
    answer = warehouse.query(
        "SELECT kind, version, current, toString(content_hash) AS content_hash, parameters, origin, recorded_at, "
        "current_from FROM parameters ORDER BY kind, current_from DESC, version DESC"
    )
    return {
        "parameters": answer.named(),
        "unrecorded": {
            str(version): int(alerts) for version, alerts in warehouse.query(model_registry.UNRECORDED).rows
        },
    }
