"""The warehouse's schema: its migrations, applying them, the data dictionary, and the picture of its tables."""

from collections.abc import Callable

from pipeline.config import Settings
from pipeline.sink import audit, start_checks
from pipeline.topics import ALERTS
from pipeline.warehouse import migrations
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.dictionary import dictionary
from pipeline.warehouse.migrations import MigrationStatus
from pipeline.warehouse.picture import picture

TOPICS = {table: topic for topic, table in audit.TABLES.items()} | {"alert_states": ALERTS.name}
"""The topic that fills each table."""


def standing(settings: Settings) -> list[MigrationStatus]:
    """Every migration; the database need not be there."""
    return migrations.standing(_looking(settings))


def planned(settings: Settings) -> str:
    """The SQL that a migration would run now; changes nothing."""
    due = migrations.pending(_looking(settings))
    return "".join(
        f"-- {migration.name}\n\n" + "".join(f"{s};\n\n" for s in migration.statements(settings.clickhouse_cluster))
        for migration in due
    )


def migrate(settings: Settings, applying: Callable[[str], None]) -> list[str]:
    """Apply what is missing; returns the names of what was applied."""
    _ = migrations.pending(_looking(settings))  # before a database is created
    warehouse = connect(settings, create_database=True, seconds=3_600)
    return migrations.migrate(
        warehouse, quiet=lambda: start_checks.nobody_writes(settings), told=lambda migration: applying(migration.name)
    )


def described(settings: Settings) -> str:
    """The data dictionary."""
    return dictionary(connect(settings))


def drawn(settings: Settings) -> str:
    """The picture of the tables: which table feeds which view."""
    return picture(connect(settings), TOPICS)


def _looking(settings: Settings) -> Warehouse:
    """A connection for looking at a database that may not be there."""
    warehouse = connect(settings.with_changes(database="default"))
    warehouse.database = settings.database
    return warehouse
