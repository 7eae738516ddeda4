"""Events, states and alerts into a warehouse, through the sink's own rows."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pipeline.config import Settings
from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, encode_state
from pipeline.records import Record
from pipeline.sink.rows import RowPlace, by_topic
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.own_columns import columns
from tests.warehouses import database

TOPICS: dict[type[Event], str] = {
    Purchase: "purchases",
    ServiceContact: "service-contacts",
    SurveyResponse: "surveys",
    AlertOutcome: "alert-outcomes",
}
ARRIVED = 4_000_000_000_000
"""After every event of every test."""


@contextmanager
def migrated(directory: Path) -> Iterator[tuple[Settings, Warehouse]]:
    """A database with every table."""
    with database(directory) as settings:
        warehouse = connect(settings)
        migrate(warehouse)
        yield settings, warehouse


def emptied(warehouse: Warehouse) -> None:
    """Take every row out of our tables: that takes a tenth of the time that new ones take."""
    filled = warehouse.query(
        "SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree' AND total_rows > 0 "
        "AND name != 'schema_migrations'",
        {"d": warehouse.database},
    )
    for (table,) in filled.rows:
        warehouse.command(f"TRUNCATE TABLE `{table}` SYNC")


def store(warehouse: Warehouse, events: Iterable[Event], first: int = 0) -> None:
    """Events, at offsets from ``first`` on."""
    by_kind: dict[str, list[tuple[str, bytes]]] = {}
    for event in events:
        value = msgspec.json.encode(event)
        topic = next(topic for kind, topic in TOPICS.items() if isinstance(event, kind))
        by_kind.setdefault(topic, []).append((event.customer_id, value))
    for topic, values in by_kind.items():
        _write(warehouse, topic, values, first)


def store_states(warehouse: Warehouse, customers: Iterable[Customer], first: int = 0) -> None:
    """The newest state of each customer."""
    _write(warehouse, "customer-states", [(c.customer_id, encode_state(c)) for c in customers], first)


def store_alerts(warehouse: Warehouse, alerts: Iterable[ChurnAlert], first: int = 0) -> None:
    """Messages to the desk."""
    _write(warehouse, "churn-alerts", [(alert.customer_id, msgspec.json.encode(alert)) for alert in alerts], first)


def _write(warehouse: Warehouse, topic: str, values: Sequence[tuple[str, bytes]], first: int) -> None:
    rows_of, made = by_topic()[topic], dict[str, list[Any]]()
    for offset, (customer_id, value) in enumerate(values, start=first):
        key = customer_id.encode()
        place = RowPlace(topic, partition_of(key, 1), 1)
        found = rows_of(place, Record(offset, ARRIVED, key, value, []))
        assert found, value
        for table, row in found:
            made.setdefault(table, []).append(row)
    for table, rows in made.items():
        warehouse.insert(table, columns(warehouse, table), rows, f"{table}-{first}")
