"""``loyalty warehouse``: dry run, migrate, status, and refusals in one line."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from pipeline.cli import cli
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.kafka import topic_admin
from pipeline.sink import start_checks
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrations import migrate, shipped
from tests.sink.purchases import insert, made
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("migrations")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("warehouse")) as found:
        yield found


def run(settings: Settings, *words: str) -> tuple[int, str]:
    """The command's exit code and what it says."""
    done = CliRunner().invoke(cli, ["warehouse", *words], env=settings.as_env() | {"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def databases(settings: Settings) -> list[str]:
    rows = connect(settings.with_changes(database="default")).query("SELECT name FROM system.databases").rows
    return [str(name) for (name,) in rows]


def test_a_dry_run_prints_what_would_run_and_changes_nothing(settings: Settings) -> None:
    own = settings.with_changes(database="dry")
    code, text = run(own, "migrate", "--dry-run")
    assert code == 0
    assert all(f"-- {migration.name}\n" in text for migration in shipped())
    assert text.count("CREATE MATERIALIZED VIEW IF NOT EXISTS") >= 6
    assert "dry" not in databases(settings)
    _, replicated = run(own.with_changes(clickhouse_cluster="main"), "migrate", "--dry-run")
    assert "ON CLUSTER `main`" in replicated
    assert "ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}" in replicated


def test_migrate_then_status(settings: Settings) -> None:
    own = settings.with_changes(database="whole")
    code, text = run(own, "status")
    assert (code, text.count("pending")) == (1, len(shipped()))
    code, text = run(own, "migrate")
    assert code == 0
    assert f"Applied {len(shipped())} migrations." in text
    code, text = run(own, "status", "--json")
    assert code == 0
    assert {one["state"] for one in json.loads(text)} == {"applied"}
    assert run(own, "migrate") == (0, "Nothing to do: all migrations are applied.\n")
    assert run(own, "migrate", "--dry-run") == (0, "")


def test_a_newer_warehouse_is_refused_before_anything(settings: Settings) -> None:
    own = settings.with_changes(database="newer")
    warehouse = connect(own, create_database=True)
    migrate(warehouse, shipped()[:1])
    warehouse.command("INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'later', 'x')")
    with pytest.raises(Refused, match="has migration 9999"):
        run(own, "migrate")
    with pytest.raises(Refused, match="has migration 9999"):
        run(own, "migrate", "--dry-run")
    assert run(own, "status")[0] == 1


def test_while_sinks_run_rows_are_not_counted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings.with_changes(database="busy")
    warehouse = connect(own, create_database=True)
    migrate(warehouse, [migration for migration in shipped() if migration.number < 7])
    insert(warehouse, made(20, seed=4))
    monkeypatch.setattr(topic_admin, "members", lambda *_: 2)
    with pytest.raises(Refused, match=r"2 sinks are running.*Stop the sinks"):
        start_checks.nobody_writes(own, 0.1)
    asked: list[str] = []

    def nobody(_: Settings, group: str) -> int:
        asked.append(group)
        return 0

    monkeypatch.setattr(topic_admin, "members", nobody)
    assert run(own, "migrate")[0] == 0
    assert asked == ["loyalty-sink"] * 2, "the two views on purchases"
