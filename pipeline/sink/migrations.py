"""The warehouse's schema: numbered SQL files, applied once each, in order, with their checksums on record."""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline import resources
from pipeline.errors import Refused
from pipeline.sink.warehouse import Warehouse

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt16 COMMENT 'Number of the migration',
    name String COMMENT 'Its file',
    checksum String COMMENT 'SHA-256 of the file as it was applied',
    applied_at DateTime('UTC') DEFAULT now('UTC') COMMENT 'When it was applied'
)
ENGINE = MergeTree ORDER BY number
COMMENT 'Which migrations were applied'
"""


class Migration(NamedTuple):
    """One file of SQL statements."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Sequence[str]:
        """Its statements; each ends with a semicolon at the end of a line."""
        bare = re.sub(r"^--.*$", "", self.sql, flags=re.MULTILINE)
        return [statement.strip() for statement in re.split(r";\s*$", bare, flags=re.MULTILINE) if statement.strip()]


def shipped() -> list[Migration]:
    """The migrations that travel with the program, in order."""
    entries = sorted((resources.schemas() / "clickhouse").iterdir(), key=lambda entry: entry.name)
    files = [entry for entry in entries if re.match(r"\d{4}_.+\.sql$", entry.name)]
    return [Migration(int(entry.name[:4]), entry.name, entry.read_text()) for entry in files]


def migrate(warehouse: Warehouse, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing; returns the names of what was applied.

    A migration that was interrupted half way is finished: its ``CREATE`` statements skip what exists.

    Raises
    ------
    Refused
        A file was changed after it was applied, or the warehouse is newer than this program.
    """
    known = list(shipped() if migrations is None else migrations)
    warehouse.command(_TABLE)
    applied = {
        int(number): (name, checksum)
        for number, name, checksum in warehouse.query("SELECT number, name, checksum FROM schema_migrations").rows
    }
    newest = max((migration.number for migration in known), default=0)
    if applied and max(applied) > newest:
        raise Refused(
            f"the warehouse has migration {max(applied)}, this program knows up to {newest}; run the newer version"
        )
    done = []
    for migration in known:
        if migration.number in applied:
            _check_unchanged(migration, applied[migration.number][1])
            continue
        for statement in migration.statements():
            warehouse.command(
                re.sub(r"^CREATE (TABLE|VIEW|MATERIALIZED VIEW) (?!IF)", r"CREATE \1 IF NOT EXISTS ", statement)
            )
        warehouse.insert(
            "schema_migrations",
            {"number": "UInt16", "name": "String", "checksum": "String"},
            [[migration.number, migration.name, migration.checksum]],
            f"migration-{migration.number}",
        )
        done.append(migration.name)
    return done


def _check_unchanged(migration: Migration, checksum: str) -> None:
    if migration.checksum != checksum:
        raise Refused(
            f"{migration.name} was changed after it was applied. Restore the file, "
            "and put the change into a new migration."
        )
