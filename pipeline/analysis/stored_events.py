"""Reads raw events back from the warehouse, customer by customer, a bounded number at a time."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from msgspec import structs

from pipeline.core.contract.events import AlertOutcome, Binding, Event, Line, Purchase, ServiceContact, SurveyResponse
from pipeline.progress import Meter, silent
from pipeline.warehouse.client import Warehouse

ROWS_AT_ONCE = 200_000
"""So many events are read from the warehouse in one answer, about."""
TABLES: dict[str, type[Event]] = {
    "raw_purchases": Purchase,
    "raw_service_contacts": ServiceContact,
    "raw_survey_responses": SurveyResponse,
    "raw_alert_outcomes": AlertOutcome,
}
"""Where each kind of event lies; an event that was produced twice lies there twice."""
_CONCERNED = "customer_id IN (SELECT customer_id FROM raw_service_contacts)"


def stored(warehouse: Warehouse, meter: Meter = silent) -> Iterator[list[Event]]:
    """The events of every customer who ever contacted service, a share of the customers at a time."""
    rows = sum(int(warehouse.value(f"SELECT count() FROM {t} WHERE {_CONCERNED}")) for t in TABLES)  # noqa: S608
    shares = max(1, math.ceil(rows / ROWS_AT_ONCE))
    chosen = f"{_CONCERNED} AND cityHash64(customer_id) % {{n:UInt32}} = {{i:UInt32}}"
    with meter("reading", "shares of the customers") as progress:
        for share in range(shares):
            yield from _read(warehouse, chosen, {"n": shares, "i": share}).values()
            progress(share + 1, shares)


def between(warehouse: Warehouse, first: str, last: str) -> dict[str, list[Event]]:
    """Each event once of the customers from ``first`` to ``last``, both included, who ever contacted service."""
    within = "customer_id >= {first:String} AND customer_id <= {last:String}"
    chosen = f"{within} AND customer_id IN (SELECT customer_id FROM raw_service_contacts WHERE {within})"  # noqa: S608
    return _read(warehouse, chosen, {"first": first, "last": last})


def of_customer(warehouse: Warehouse, customer_id: str, at: datetime, known_at: str) -> list[Event]:
    """Each event of a customer once that had happened by ``at`` and was received by ``known_at``."""
    received = "customer_id = {customer:String} AND _appended_at <= {known_at:DateTime64(3, 'UTC')}"
    events = _read(warehouse, received, {"customer": customer_id, "known_at": known_at}).get(customer_id, [])
    return [event for event in events if event.occurred_at <= at]


def _read(warehouse: Warehouse, chosen: str, parameters: Mapping[str, Any]) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = {}
    for table, kind in TABLES.items():
        answer = warehouse.query(
            f"SELECT * FROM {table} WHERE {chosen} "  # noqa: S608 - the names are ours
            "ORDER BY _offset LIMIT 1 BY customer_id, event_id",
            parameters,
            read_only=True,
        )
        moments = [
            n for n, t in zip(answer.columns, answer.types, strict=True) if re.match(r"(Nullable\()?DateTime", t)
        ]
        for columns in answer.named():
            for name in moments:
                columns[name] = _moment(columns[name])
            events.setdefault(columns["customer_id"], []).append(_event(kind, columns))
    return events


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _event(kind: type[Event], columns: dict[str, Any]) -> Event:
    """A row as the event it was: columns bear the names of fields; an empty text is a field that was not there."""
    if kind is Purchase:
        lines = zip(columns["categories"], columns["quantities"], strict=True)
        columns["lines"] = [Line(category=category, quantity=quantity) for category, quantity in lines]
        bound = zip(columns["binding_kinds"], columns["binding_ends"], columns["binding_notices"], strict=True)
        columns["bindings"] = [Binding(kind=k, ends_at=_moment(end), notice_by=_moment(by)) for k, end, by in bound]
    return kind(
        **{
            name: columns[name]
            for name, optional in _fields(kind)
            if name in columns and not (optional and columns[name] == "")
        }
    )


@lru_cache
def _fields(kind: type[Event]) -> list[tuple[str, bool]]:
    """The fields of an event, and whether one may be absent; msgspec takes a millisecond to say so."""
    return [(field.name, field.default is None) for field in structs.fields(kind)]
