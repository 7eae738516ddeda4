"""What tokens are worth when the engine is killed: an insert that is repeated is there once, in every table."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Settings
from pipeline.local.tokens import forget_lost
from pipeline.sink.audit import TABLES
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate, shipped
from tests.faults.warehouses import Embedded

AGGREGATES = "SELECT aggregate, counted, difference FROM audit_aggregates ORDER BY aggregate"

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.local.engine import EmbeddedEngine, Statement

engine = EmbeddedEngine(Path(sys.argv[1]))
def run(sql):
    return b"".join(engine.stream(Statement(sql)))
def insert(table, token):
    engine.insert(Statement(
        f"INSERT INTO {table}", "", {"insert_deduplication_token": token, "insert_deduplicate": "1",
        "deduplicate_blocks_in_dependent_materialized_views": "1"}, {}, "TabSeparated", b"1\\n2\\n", "TabSeparated",
    ))
"""
CREATE = """
for sql in (
    "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100",
    "CREATE TABLE s (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100",
    "CREATE MATERIALIZED VIEW v TO s AS SELECT count() AS n FROM t",
):
    run(sql)
insert("t", "1")
insert("t", "2")
print(run("SELECT data_paths[1] FROM system.tables WHERE name = 's'").decode().strip(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
REPEAT = """
print(engine.lost_tokens)
for token in ("1", "2"):
    insert("t", token)
print(int(run("SELECT count() FROM t")), int(run("SELECT sum(n) FROM s")))
engine.close()
"""


def run(data: Path, program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", KILLED + program, str(data)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode in {0, -9}, done.stderr
    return done.stdout.split()


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, Path]:
    """The data of an engine that was killed after two inserts, and the folder of a table that a view feeds."""
    data = tmp_path / "warehouse"
    [table] = run(data, CREATE)
    return data, data / table.partition(f"{data}/")[2]


def test_an_insert_whose_part_never_got_its_name_is_written_when_it_is_repeated(killed: tuple[Path, Path]) -> None:
    data, table = killed
    shutil.rmtree(table / "all_2_2_0")
    assert run(data, REPEAT) == ["1", "4", "4"]


def test_nothing_is_forgotten_while_the_part_is_there_also_in_a_merged_one(killed: tuple[Path, Path]) -> None:
    data, table = killed
    shutil.rmtree(table / "all_1_1_0")
    (table / "all_2_2_0").rename(table / "all_1_2_1")
    assert forget_lost(data) == 0
    assert len(next(table.glob("deduplication_logs/*")).read_text().splitlines()) == 2


def test_only_the_last_token_of_a_table_can_be_lost(killed: tuple[Path, Path]) -> None:
    data, table = killed
    for part in table.glob("all_*"):
        shutil.rmtree(part)
    assert forget_lost(data) == 1
    assert len(next(table.glob("deduplication_logs/*")).read_text().splitlines()) == 1


def test_half_a_line_is_cut_off(killed: tuple[Path, Path]) -> None:
    data, table = killed
    log = next(table.glob("deduplication_logs/*"))
    whole = log.read_bytes()
    log.write_bytes(whole + b"1\tall_3_3_0")
    assert forget_lost(data) == 0
    assert log.read_bytes() == whole


def test_an_engine_that_ended_by_itself_and_one_that_runs_are_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "warehouse"
    ended = CREATE.replace("os.kill(os.getpid(), signal.SIGKILL)", "engine.close()")
    [table] = run(data, ended)
    shutil.rmtree(data / table.partition(f"{data}/")[2] / "all_2_2_0")
    assert forget_lost(data) == 0
    asked = "from pipeline.local.tokens import forget_lost\nprint(forget_lost(Path(sys.argv[1])))\nengine.close()\n"
    assert run(data, asked) == ["0"]


def insert(warehouse: Warehouse, token: str) -> None:
    """One row into every table of records."""
    for topic, table in TABLES.items():
        warehouse.insert(
            table,
            {"_topic": "String", "_partition": "UInt16", "_offset": "UInt64"},
            [[topic, 0, 0]],
            f"{token}/{table}",
        )


def test_a_batch_that_is_repeated_after_the_engine_was_killed_counts_once_in_every_aggregate(tmp_path: Path) -> None:
    """Also when the views were made in the life that ended: tokens of views must not depend on that."""
    engine = Embedded(tmp_path).start()
    try:
        settings = Settings().with_changes(clickhouse=engine.url, database="loyalty")
        warehouse = connect(settings, create_database=True)
        migrate(warehouse)
        insert(warehouse, "first")
        before = warehouse.query(AGGREGATES).rows
        assert {int(counted) for _, counted, _ in before} == {1}
        assert {int(difference) for *_, difference in before} == {0}
        engine.kill()
        engine.start()
        warehouse = connect(settings)
        insert(warehouse, "first")
        assert warehouse.query(AGGREGATES).rows == before
        assert int(warehouse.value("SELECT count() FROM customer_state_history")) == 1
    finally:
        engine.kill()


def test_no_migration_alters_a_materialized_view() -> None:
    """Until the next start an altered view derives other tokens from an insert's than after it."""
    texts = [migration.sql for migration in shipped()]
    views = {name for text in texts for name in re.findall(r"CREATE MATERIALIZED VIEW (\w+)", text)}
    altered = {name for text in texts for name in re.findall(r"ALTER TABLE (\w+)", text)}
    assert len(views) >= 7
    assert not views & altered
