"""Collects everything that is held about a customer, for their request to see it (Art. 15 GDPR).

One JSON document. ``tables`` has a section for every table of the warehouse with rows of theirs, by the same look at
the schema as the erasure; ``dead_letters`` what could not be used; ``topics`` what Kafka holds of them and until when;
``recipients`` who got something.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from pipeline import files
from pipeline.config import Settings
from pipeline.core.contract.moments import to_the_second
from pipeline.erasure import warehouse_search
from pipeline.erasure.erased_customers import check_id, check_not_erased
from pipeline.erasure.receipt import remaining
from pipeline.erasure.topic_scan import Trace, traces
from pipeline.errors import NotFound, Refused
from pipeline.progress import Meter, silent
from pipeline.topics import ALERTS
from pipeline.warehouse.client import Warehouse, connect

FORMAT = 1


def collect(settings: Settings, customer_id: str, meter: Meter = silent) -> dict[str, Any]:
    """The document.

    Raises
    ------
    NotFound
        Nothing is held about them, or they were erased.
    """
    check_id(customer_id)
    check_not_erased(settings, customer_id)
    warehouse = connect(settings)
    tables, letters = _tables(warehouse, customer_id), _letters(warehouse, customer_id)
    with meter("Reading the log", "records") as progress:
        kept = traces(settings, customer_id, progress)
    if not (tables or letters or kept):
        raise NotFound(f"nothing is held about customer {customer_id!r}: no row, no state, no record")
    return {
        "format": FORMAT,
        "customer_id": customer_id,
        "made_at": to_the_second(datetime.now(UTC)),
        "tables": tables,
        "dead_letters": letters,
        "topics": [remaining(trace) for trace in kept],
        "recipients": _recipients(tables, kept),
        "not_in_here": "Other customers whom this one recommended us to: they are personal data of those.",
    }


def _tables(warehouse: Warehouse, customer_id: str) -> dict[str, list[dict[str, Any]]]:
    rows = {}
    for place in warehouse_search.places(warehouse):
        if place.name != place.table or not place.condition:
            continue
        answer = warehouse.query(
            f"SELECT * FROM {{t:Identifier}} WHERE {place.condition}",  # noqa: S608 - conditions of the module
            {"t": place.table, "c": customer_id},
        )
        if answer.rows:
            rows[place.table] = list(map(_shown, answer.named()))
    return rows


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its JSON unpacked, where a column holds some."""
    return {name: _unpacked(value) if name in ("state", "raw") else value for name, value in row.items()}


def _unpacked(value: Any) -> Any:
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError):
        return value


def _letters(warehouse: Warehouse, customer_id: str) -> list[dict[str, Any]]:
    return [
        {
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "key": letter.key.decode(errors="backslashreplace"),
            "value": letter.value.decode(errors="backslashreplace"),
            "headers": {name: content.decode(errors="backslashreplace") for name, content in letter.headers},
        }
        for place in warehouse_search.places(warehouse)
        if place.record is not None and place.name == place.table
        for letter in warehouse_search.letters(warehouse, place, customer_id)
    ]


def _recipients(tables: dict[str, list[dict[str, Any]]], kept: list[Trace]) -> list[dict[str, Any]]:
    """The recipients of a customer's data: the desk by messages, and the desks that reported their actions."""
    messages = next((trace.records for trace in kept if trace.topic == ALERTS.name), 0)
    found: list[dict[str, Any]] = []
    if messages:
        found.append({"recipient": "service desk", "through": f"topic {ALERTS.name}", "messages": messages})
    desks = {row["desk"] for row in tables.get("raw_alert_outcomes", []) if row["desk"]}
    return [*found, *({"recipient": f"desk {desk}", "through": "an alert they dealt with"} for desk in sorted(desks))]


def size(document: dict[str, Any]) -> int:
    """How many rows and records a document holds."""
    return sum(map(len, document["tables"].values())) + len(document["dead_letters"])


def check_free(out: Path | None) -> None:
    """Refuse to overwrite, before anything is read.

    Raises
    ------
    Refused
        The file exists.
    """
    if out is not None and (out.exists() or out.is_symlink()):
        raise Refused(f"{out} exists; name a new file, or remove it")


def write(out: Path, document: dict[str, Any]) -> None:
    """Write it to a new file that only its owner can read.

    Raises
    ------
    Refused
        The file exists, or cannot be made.
    """
    check_free(out)
    try:
        files.write_whole(out, orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2))
    except OSError as failed:
        raise Refused(f"{out} cannot be written: {failed.strerror}") from None
