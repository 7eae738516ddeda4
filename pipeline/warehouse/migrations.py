"""The warehouse's schema: numbered SQL files, applied once each, in order, with their checksums on record.

Everything that can be wrong is looked at before the first statement: a file that was changed, a warehouse that is newer
than the program, a server that is too old, a user without rights, a statement that replicas cannot have. A migration
that was interrupted half way is not on record, and is finished by running it again: ``CREATE`` skips what exists,
``ALTER`` says ``IF NOT EXISTS``, an ``INSERT`` has a token of its own (its table needs a window), and what a new
materialized view missed is filled under tokens.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pipeline import resources
from pipeline.errors import Refused
from pipeline.warehouse import backfill
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.ddl import expanded, repeatable, split

LEAST_VERSION = (26, 9)
"""The oldest engine that everything here was tried on."""
RECORD = """
CREATE TABLE schema_migrations
(
    number UInt16 COMMENT 'Number of the migration',
    name String COMMENT 'Its file',
    checksum String COMMENT 'SHA-256 of the file as it was applied',
    applied_at DateTime('UTC') DEFAULT now('UTC') COMMENT 'When it was applied'
)
ENGINE = MergeTree
ORDER BY number
COMMENT 'Which migrations were applied'
"""
_RIGHTS = "CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER TABLE, ALTER VIEW, SELECT, INSERT ON `{database}`.*"


class Migration(NamedTuple):
    """One file of SQL statements."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self, cluster: str = "") -> Sequence[str]:
        """What is run, for one engine or for the replicas of a cluster; each can be run again."""
        return [repeatable(expanded(statement, cluster)) for statement in split(self.sql)]


class MigrationStatus(NamedTuple):
    """A migration, and what is known of it."""

    number: int
    name: str
    state: str
    """applied, pending, changed (after it was applied), or unknown (to this program)."""
    checksum: str
    applied_at: str


def shipped() -> list[Migration]:
    """The migrations that travel with the program, in order."""
    entries = sorted((resources.schemas() / "clickhouse").iterdir(), key=lambda entry: entry.name)
    files = [entry for entry in entries if re.match(r"\d{4}_.+\.sql$", entry.name)]
    return [Migration(int(entry.name[:4]), entry.name, entry.read_text(encoding="utf-8")) for entry in files]


def views() -> list[backfill.View]:
    """Every materialized view that feeds an aggregate."""
    return [view for migration in shipped() for view in _views(migration).values()]


def standing(warehouse: Warehouse, migrations: Sequence[Migration] | None = None) -> list[MigrationStatus]:
    """Every migration that the program or the warehouse knows, in order; only reads."""
    known = {migration.number: migration for migration in (shipped() if migrations is None else migrations)}
    record = _record(warehouse)
    return [_standing(number, known.get(number), record.get(number)) for number in sorted(known.keys() | record.keys())]


def _standing(number: int, known: Migration | None, applied: tuple[str, str, str] | None) -> MigrationStatus:
    if known is None:
        name, checksum, at = applied or ("", "", "")
        return MigrationStatus(number, name, "unknown", checksum, at)
    if applied is None:
        return MigrationStatus(number, known.name, "pending", known.checksum, "")
    return MigrationStatus(number, known.name, "applied" if applied[1] == known.checksum else "changed", *applied[1:])


def pending(warehouse: Warehouse, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """What is to be applied; only reads.

    Raises
    ------
    Refused
        A file was changed after it was applied, or the warehouse is newer than this program.
    """
    known = list(shipped() if migrations is None else migrations)
    statuses = standing(warehouse, known)
    unknown = [one.number for one in statuses if one.state == "unknown"]
    if unknown:
        newest = max((migration.number for migration in known), default=0)
        raise Refused(f"the warehouse has migration {unknown[-1]}, this program knows up to {newest}; "
                      "run the newer version")  # fmt: skip
    changed = [one.name for one in statuses if one.state == "changed"]
    if changed:
        raise Refused(f"{changed[0]} was changed after it was applied. Restore the file, and put the change into a "
                      "new migration.")  # fmt: skip
    due = {one.number for one in statuses if one.state == "pending"}
    return [migration for migration in known if migration.number in due]


def migrate(
    warehouse: Warehouse,
    migrations: Sequence[Migration] | None = None,
    *,
    quiet: Callable[[], None] = lambda: None,
    told: Callable[[Migration], None] = lambda _: None,
) -> list[str]:
    """Apply what is missing; returns the names of what was applied.

    ``quiet`` is called before a materialized view is put on a table that has rows, and raises when somebody may be
    inserting. ``told`` hears of every migration before it is applied.

    Raises
    ------
    Refused
        Nothing was begun: see the head of this module.
    """
    due = pending(warehouse, migrations)
    if not due:
        return []
    texts = {migration.number: migration.statements(warehouse.cluster) for migration in due}
    views = {migration.number: _views(migration) for migration in due}
    check_version(warehouse)
    _check_rights(warehouse, [statement for statements in texts.values() for statement in statements])
    for table in (RECORD, backfill.TABLE):
        warehouse.command(repeatable(expanded(table.strip(), warehouse.cluster)))
    for migration in due:
        told(migration)
        _apply(warehouse, migration, views[migration.number], quiet)
        warehouse.insert(
            "schema_migrations",
            {"number": "UInt16", "name": "String", "checksum": "String"},
            [[migration.number, migration.name, migration.checksum]],
            f"migration-{migration.number}",
        )
    return [migration.name for migration in due]


def _views(migration: Migration) -> Mapping[int, backfill.View]:
    """The materialized views it creates that feed aggregates, by the place of their statement.

    One that does not group keeps rows as they come: a history, which begins when it is created.
    """
    views_by_place = {place: backfill.view_of(statement) for place, statement in enumerate(split(migration.sql))}
    return {place: view for place, view in views_by_place.items() if view is not None and view.groups}


def _apply(
    warehouse: Warehouse, migration: Migration, views: Mapping[int, backfill.View], quiet: Callable[[], None]
) -> None:
    for place, statement in enumerate(migration.statements(warehouse.cluster)):
        if place in views:
            backfill.plan(warehouse, views[place], quiet)
        rows = re.match(r"INSERT\b", statement)
        settings = warehouse.tokens(f"migration-{migration.number}/{place}") if rows else {}
        warehouse.command(statement, settings=settings)
    for view in views.values():
        backfill.fill(warehouse, view)


def check_version(warehouse: Warehouse) -> str:
    """The version of the engine; the one place that says which are too old.

    Raises
    ------
    Refused
        It is older than :data:`LEAST_VERSION`.
    """
    answer = str(warehouse.value("SELECT version()"))
    version = tuple(int(part) for part in re.findall(r"\d+", answer)[:2])
    if version < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise Refused(f"ClickHouse {answer} is too old: this schema needs {least} or newer. Nothing was changed; "
                      "upgrade the server")  # fmt: skip
    return answer


def _check_rights(warehouse: Warehouse, statements: Sequence[str]) -> None:
    """Ask for everything beforehand: a statement that is refused half way leaves half a migration."""
    wanted = [_RIGHTS.format(database=warehouse.database)]
    wanted += ["CREATE FUNCTION ON *.*"] if any("FUNCTION" in s.split("AS")[0] for s in statements) else []
    wanted += ["CLUSTER ON *.*"] if warehouse.cluster else []
    missing = [grant for grant in wanted if not int(warehouse.value(f"CHECK GRANT {grant}"))]
    if missing:
        raise Refused(f"the ClickHouse user may not migrate: it lacks {'; '.join(missing)}. Nothing was changed; run "
                      "`loyalty warehouse migrate` as a user with the role loyalty_migrator (access.sql)")  # fmt: skip


def _record(warehouse: Warehouse) -> dict[int, tuple[str, str, str]]:
    """Number, with name, checksum and time, of what was applied."""
    there = warehouse.value(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
        {"database": warehouse.database},
    )
    if not int(there):
        return {}
    rows = warehouse.query(
        "SELECT number, name, checksum, toString(min(applied_at)) FROM {database:Identifier}.schema_migrations "
        "GROUP BY number, name, checksum ORDER BY number, min(applied_at)",
        {"database": warehouse.database},
    ).rows
    return {int(number): (str(name), str(checksum), str(at)) for number, name, checksum, at in rows}
