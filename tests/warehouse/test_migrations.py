"""Migrations: finished after any interruption, refused before the first statement, the same files for replicas."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.sink.audit import aggregates
from pipeline.warehouse import backfill, migrations
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.ddl import expanded, split
from pipeline.warehouse.failures import QueryFailed
from pipeline.warehouse.migrations import Migration, migrate, pending, shipped, standing
from tests.conftest import ROOT
from tests.sink.purchases import insert, made, sales, told
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("migrations")
BOUGHT = made(900, seed=2)
BEFORE = [migration for migration in shipped() if migration.number < 8]
TO_AGGREGATES = [migration for migration in shipped() if migration.number <= 8]


class Interrupted(Exception):
    """Somebody pulled the plug."""


class Dying(Warehouse):
    """Stops after some more statements: the last of them is done, and nobody hears of it."""

    lives = 0

    def _live(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Interrupted

    def command(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Run a statement, and perhaps stop."""
        super().command(sql, parameters, settings)
        self._live()

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert, and perhaps stop."""
        super().insert(table, columns, rows, token)
        self._live()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("warehouse")) as found:
        yield found


@pytest.fixture
def warehouse(settings: Settings, request: pytest.FixtureRequest) -> Warehouse:
    """A database of the test's own."""
    name = re.sub(r"\W", "_", request.node.name)[:60]
    return connect(settings.with_changes(database=name), create_database=True)


def database(warehouse: Warehouse) -> list[Sequence[Any]]:
    """What is in it: every table with its definition and number of rows."""
    return list(
        warehouse.query(
            "SELECT name, create_table_query, total_rows FROM system.tables WHERE database = {d:String} ORDER BY name",
            {"d": warehouse.database},
        ).rows
    )


# --- rows from before


def before(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warehouse of before the aggregates, with rows; the fill takes several ranges."""
    monkeypatch.setattr(backfill, "RANGE", 100)
    migrate(warehouse, BEFORE)
    insert(warehouse, BOUGHT[:700])


def check(warehouse: Warehouse) -> None:
    """The aggregates hold every row once."""
    assert told(warehouse) == sales(BOUGHT)
    assert told(warehouse, by_category=True) == sales(BOUGHT, by_category=True)
    assert all(one.counted == one.rows for one in aggregates(warehouse).values())


def test_rows_from_before_the_aggregates_are_in_them(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    before(warehouse, monkeypatch)
    assert migrate(warehouse, TO_AGGREGATES) == ["0008_aggregates.sql"]
    insert(warehouse, BOUGHT[700:])
    check(warehouse)


def test_a_migration_that_is_interrupted_again_and_again_is_finished_and_counts_every_row_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(warehouse, monkeypatch)
    warehouse.__class__ = Dying
    dying: Any = warehouse
    deaths = 0
    for lives in range(3, 1_000, 7):
        dying.lives = lives
        try:
            migrate(warehouse, TO_AGGREGATES)
        except Interrupted:
            deaths += 1
        if standing(warehouse, TO_AGGREGATES)[-1].state == "applied":
            break
    warehouse.__class__ = Warehouse
    assert deaths > 8
    insert(warehouse, BOUGHT[700:])
    check(warehouse)


def test_a_second_migrator_that_comes_late_counts_nothing_twice(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(warehouse, monkeypatch)
    migrate(warehouse, TO_AGGREGATES)
    insert(warehouse, BOUGHT[700:])  # by a sink that started after the first had finished
    (aggregate,) = [migration for migration in TO_AGGREGATES if migration.number == 8]
    for statement in split(aggregate.sql):
        if (view := backfill.view_of(statement)) is not None:
            backfill.plan(warehouse, view, lambda: None)
            backfill.fill(warehouse, view)
    check(warehouse)


def test_while_sinks_run_nothing_is_filled(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def sinks_run() -> None:
        raise Refused("2 sinks are running")

    before(warehouse, monkeypatch)
    with pytest.raises(Refused, match="2 sinks"):
        migrate(warehouse, TO_AGGREGATES, quiet=sinks_run)
    assert not [name for name, *_ in database(warehouse) if str(name).endswith("_fed")]
    migrate(warehouse, TO_AGGREGATES)
    insert(warehouse, BOUGHT[700:])
    check(warehouse)


# --- refusals, before anything is done


def refused(warehouse: Warehouse, match: str, files: Sequence[Migration] | None = None) -> None:
    """It is refused in one line, and nothing was changed."""
    there = database(warehouse)
    with pytest.raises(Refused, match=match) as said:
        migrate(warehouse, files)
    assert "\n" not in str(said.value)
    assert database(warehouse) == there


def test_a_migration_that_was_edited_is_refused_and_the_pending_ones_are_not_begun(warehouse: Warehouse) -> None:
    migrate(warehouse, shipped()[:2])
    edited = [shipped()[0]._replace(sql=shipped()[0].sql + "\n-- a word more\n"), *shipped()[1:]]
    refused(warehouse, r"0001_raw_events\.sql was changed", edited)
    assert [one.state for one in standing(warehouse, edited)][:3] == ["changed", "applied", "pending"]


def test_a_warehouse_that_is_newer_than_the_program_is_refused(warehouse: Warehouse) -> None:
    migrate(warehouse, [*shipped()[:1], Migration(99, "0099_future.sql", "")])
    refused(warehouse, "has migration 99, this program knows up to .*run the newer version")
    assert standing(warehouse)[-1].state == "unknown"


def test_a_server_that_is_too_old_is_refused(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LEAST_VERSION", (99, 1))
    refused(warehouse, r"ClickHouse 26\.\S+ is too old: this schema needs 99\.1 or newer")


def test_a_user_without_rights_is_refused(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_RIGHTS", "ACCESS MANAGEMENT ON *.*")  # nobody has it in the embedded engine
    refused(warehouse, r"may not migrate: it lacks ACCESS MANAGEMENT ON \*\.\*\. .*role loyalty_migrator")


@pytest.mark.parametrize(
    "statement",
    ["CREATE MATERIALIZED VIEW v ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a FROM raw_purchases;",
     "CREATE MATERIALIZED VIEW v TO t AS SELECT a FROM (SELECT 1 AS a FROM raw_purchases);",
     "CREATE MATERIALIZED VIEW v TO t AS SELECT a FROM raw_purchases INNER JOIN raw_alert_outcomes USING (a);"],
)  # fmt: skip
def test_a_view_that_could_not_be_filled_is_refused(warehouse: Warehouse, statement: str) -> None:
    refused(warehouse, "cannot be filled", [Migration(1, "0001_x.sql", f"CREATE VIEW w AS SELECT 1;\n{statement}")])


def test_a_migration_the_engine_refuses_half_way_is_not_on_record(warehouse: Warehouse) -> None:
    wrong = Migration(1, "0001_x.sql", "CREATE VIEW w AS SELECT 1;\nCREATE VIEW x AS SELECT nonsense;\n")
    with pytest.raises(QueryFailed):
        migrate(warehouse, [wrong])
    assert [one.state for one in standing(warehouse, [wrong])] == ["pending"]


def test_looking_changes_nothing(settings: Settings) -> None:
    looking = connect(settings.with_changes(database="default"))
    looking.database = "not_there"
    assert {one.state for one in standing(looking)} == {"pending"}
    assert pending(looking) == shipped()
    assert not int(looking.value("SELECT count() FROM system.databases WHERE name = 'not_there'"))


def test_standing_tells_what_was_applied_and_when(warehouse: Warehouse) -> None:
    migrate(warehouse, shipped()[:2])
    found = standing(warehouse)
    assert [one.state for one in found] == ["applied"] * 2 + ["pending"] * (len(shipped()) - 2)
    assert [one.checksum for one in found] == [migration.checksum for migration in shipped()]
    assert all(bool(re.match(r"20\d\d-", one.applied_at)) == (one.state == "applied") for one in found)


# --- replicas


def parsed(warehouse: Warehouse, statement: str) -> str:
    """The statement as the engine's parser reads it."""
    literal = statement.replace("\\", "\\\\").replace("'", "\\'")
    return str(warehouse.value(f"SELECT formatQuery('{literal}')"))


@pytest.mark.parametrize("migration", shipped(), ids=lambda migration: migration.name)
def test_what_replicas_get_is_understood_by_the_engine(warehouse: Warehouse, migration: Migration) -> None:
    """The engine's own parser reads it; everything is on the cluster, and every table is of a replicated kind."""
    for statement in migration.statements("main"):
        shown = parsed(warehouse, statement)
        if statement.startswith("INSERT"):
            continue
        assert "ON CLUSTER main" in shown, shown[:200]
        engines = re.findall(r"^ENGINE = (\w+)(\(.*\))?", shown, re.MULTILINE)
        assert bool(engines) == shown.startswith("CREATE TABLE"), shown[:200]
        for engine, arguments in engines:
            assert engine.startswith("Replicated")
            assert "{shard}" in arguments
            assert "{replica}" in arguments
        assert "non_replicated" not in shown


def test_the_engine_keeps_what_it_is_given_when_it_is_replicated() -> None:
    plain = ("CREATE TABLE t (a String COMMENT 'ENGINE = MergeTree') ENGINE = ReplacingMergeTree(v, d) ORDER BY a "
             "SETTINGS non_replicated_deduplication_window = 10 COMMENT 'it''s ON CLUSTER'")  # fmt: skip
    assert expanded(plain, "") == plain
    assert expanded(plain, "c-1") == (
        "CREATE TABLE t ON CLUSTER `c-1` (a String COMMENT 'ENGINE = MergeTree') ENGINE = ReplicatedReplacingMergeTree("
        "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}', v, d) ORDER BY a "
        "SETTINGS replicated_deduplication_window = 10, replicated_deduplication_window_seconds = 604800 "
        "COMMENT 'it''s ON CLUSTER'"
    )


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE t (a UInt8) ENGINE = Log", "CREATE TABLE t (a UInt8)", "RENAME TABLE a TO b",
     "CREATE TABLE t AS other", "SYSTEM FLUSH LOGS", "CREATE DICTIONARY d (a UInt8) PRIMARY KEY a",
     "CREATE VIEW v ON CLUSTER x AS SELECT 1", "OPTIMIZE TABLE t", "SET a = 1",
     "CREATE VIEW v AS SELECT 1 SETTINGS non_replicated_deduplication_windows = 1"],
)  # fmt: skip
def test_a_statement_without_a_rule_is_refused_not_half_expanded(warehouse: Warehouse, statement: str) -> None:
    warehouse.cluster = "main"
    refused(warehouse, "cannot be expanded for replicas", [Migration(1, "0001_x.sql", f"{statement};\n")])


# --- comments


def test_every_table_view_and_column_says_what_it_means(warehouse: Warehouse) -> None:
    migrate(warehouse)
    asked = {"d": warehouse.database}
    tables = warehouse.query("SELECT name, comment FROM system.tables WHERE database = {d:String}", asked).rows
    columns = warehouse.query(
        "SELECT table, name, comment FROM system.columns WHERE database = {d:String} AND table NOT IN "
        "(SELECT name FROM system.tables WHERE database = {d:String} AND engine = 'MaterializedView')",
        asked,
    ).rows  # what feeds a table has that table's columns
    assert len(tables) > 40
    assert [name for name, comment in tables if not comment] == []
    assert [(table, name) for table, name, comment in columns if not comment] == []


def test_access_sql_is_no_migration() -> None:
    assert "access.sql" not in {migration.name for migration in shipped()}
    assert (ROOT / "schemas/clickhouse/access.sql").exists()
