"""Who may do what on a server: the engine's parser reads it, and the pseudonymous views do what they promise.

The embedded engine has no users and roles: grants, profiles, quotas and policies are checked as text only.
"""

import re
from collections.abc import Iterator

import pytest

from pipeline.sink.duplicates import KINDS
from pipeline.sink.rows import TABLES
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.ddl import split
from pipeline.warehouse.failures import QueryFailed
from pipeline.warehouse.migrations import migrate
from tests.conftest import ROOT
from tests.sink.purchases import insert, made
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("migrations")
TEXT = (ROOT / "schemas/clickhouse/access.sql").read_text()
STATEMENTS = split(TEXT)
HIDDEN = {"customer_id", "event_id", "order_id", "contact_id", "issue_id", "alert_id", "raw", "verbatim", "note",
          "reasons", "history", "recommended_action", "contact_ids", "evidence", "caused_by_event",
          "state"}  # fmt: skip
"""What names somebody, or may."""
KEY = (1234567890123456789, 987654321098765432)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse with the shared views, as far as an engine without users has them."""
    with embedded(tmp_path_factory.mktemp("warehouse")) as settings:
        made_ = connect(settings, create_database=True)
        migrate(made_)
        for statement in STATEMENTS:
            if re.match(r"CREATE (DATABASE|TABLE|OR REPLACE VIEW)", statement):
                made_.command(statement.replace("DEFINER = loyalty_definer SQL SECURITY DEFINER", ""))
        yield made_


def parse(warehouse: Warehouse, statement: str) -> None:
    """Let the engine read a statement without running it."""
    literal = statement.replace("\\", "\\\\").replace("'", "\\'")
    warehouse.value(f"SELECT formatQuery('{literal}')")


def test_the_engine_reads_every_statement(warehouse: Warehouse) -> None:
    assert len(STATEMENTS) > 50
    for statement in STATEMENTS:
        parse(warehouse, statement)
    with pytest.raises(QueryFailed):
        parse(warehouse, "CREATE SETTINGS PROFILE p SETTINGS readonly = 2 CONSTANT TO r")


def test_the_engine_reads_the_statements_that_the_readme_gives_an_administrator(warehouse: Warehouse) -> None:
    block = (ROOT / "schemas/clickhouse/README.md").read_text().split("```sql\n")[1].split("```")[0]
    statements = split(block)
    assert len(statements) == 3
    for statement in statements:
        parse(warehouse, statement)
    known = {str(name) for (name,) in warehouse.query("SELECT name FROM system.settings").rows}
    assert set(re.findall(r"^    (\w+) = ", block, re.MULTILINE)) <= known


def test_the_engine_knows_every_setting_and_right(warehouse: Warehouse) -> None:
    profiles = " ".join(s for s in STATEMENTS if "SETTINGS PROFILE" in s)
    named = set(re.findall(r"(\w+) = ", profiles))
    known = {str(name) for (name,) in warehouse.query("SELECT name FROM system.settings").rows}
    assert len(named) == 9
    assert named <= known
    rights = {right.strip() for s in STATEMENTS if (found := re.match(r"GRANT (.*) ON ", s))
              for right in found[1].split(",")}  # fmt: skip
    privileges = {str(name) for (name,) in warehouse.query("SELECT toString(privilege) FROM system.privileges").rows}
    assert rights <= privileges, rights - privileges


def test_no_password_and_no_key_stands_in_the_file() -> None:
    bare = "\n".join(STATEMENTS)
    assert not re.search(r"IDENTIFIED (BY|WITH)|VALUES|password", bare, re.IGNORECASE)
    for user in (s for s in STATEMENTS if s.startswith("CREATE USER")):
        assert "HOST NONE" in user


def test_the_writer_may_insert_where_the_sink_does_and_nothing_else() -> None:
    grants = [s for s in STATEMENTS if s.endswith("TO loyalty_writer")]
    may = {found[1] for s in grants if (found := re.match(r"GRANT INSERT ON loyalty\.(\w+) ", s))}
    assert may == {
        *TABLES,
        "repeats_searched",
        "parameter_versions",
        *(f"found_repeats_of_{kind}" for _, kind in KINDS.values()),
    }
    assert {s.split(" ON ")[0] for s in grants} == {"GRANT SELECT", "GRANT INSERT"}


def test_every_table_with_a_policy_shows_all_rows_to_those_who_must_see_them() -> None:
    policies = [s for s in STATEMENTS if "ROW POLICY" in s]
    assert {re.findall(r"ON loyalty\.(\w+)", s)[0] for s in policies} == set(TABLES)
    for policy in policies:
        assert policy.endswith("USING 1 TO loyalty_writer, loyalty_migrator, loyalty_privacy, loyalty_definer")


def test_readers_get_the_shared_views_only() -> None:
    grants = [s for s in STATEMENTS if s.startswith("GRANT") and re.search(r"TO loyalty_(reader|grafana)", s)]
    assert grants == ["GRANT SELECT ON loyalty_shared.* TO loyalty_reader", "GRANT loyalty_reader TO loyalty_grafana"]
    views = [s for s in STATEMENTS if "VIEW loyalty_shared." in s]
    assert all("DEFINER = loyalty_definer SQL SECURITY DEFINER" in view for view in views)
    key = [s for s in STATEMENTS if "loyalty_secret.pseudonym_key" in s and s.startswith("GRANT")]
    assert key == ["GRANT SELECT ON loyalty_secret.pseudonym_key TO loyalty_definer"]


def test_the_shared_views_name_nobody_and_nothing_shows_the_key(warehouse: Warehouse) -> None:
    bought = made(200, seed=3)
    insert(warehouse, bought)
    assert warehouse.query("SELECT * FROM loyalty_shared.purchases").rows == []  # no key, no view
    warehouse.command(f"INSERT INTO loyalty_secret.pseudonym_key VALUES ({KEY[0]}, {KEY[1]})")
    names = {(str(table), str(name)) for table, name in warehouse.query(
        "SELECT table, name FROM system.columns WHERE database = 'loyalty_shared'").rows}  # fmt: skip
    assert len({table for table, _ in names}) == 24
    assert not {name for _, name in names} & HIDDEN
    pseudonyms = {
        str(name) for (name,) in warehouse.query("SELECT DISTINCT customer FROM loyalty_shared.purchases").rows
    }
    assert len(pseudonyms) == len({one.customer for one in bought})
    assert all(re.fullmatch("[0-9A-F]{32}", name) for name in pseudonyms)
    whole = str(warehouse.query("SELECT * FROM loyalty_shared.purchases").rows)
    assert not re.search(r"c-\d+|e-3-|o-1", whole)
    again = {str(n) for (n,) in warehouse.query("SELECT DISTINCT customer FROM loyalty_shared.purchases").rows}
    assert again == pseudonyms
    for kind in ("", "SYNTAX", "AST", "QUERY TREE", "PLAN actions = 1, header = 1", "PLAN json = 1, actions = 1",
                 "PIPELINE"):  # fmt: skip
        shown = str(warehouse.query(f"EXPLAIN {kind} SELECT * FROM loyalty_shared.purchases WHERE customer = 'x'").rows)
        assert not re.search(f"{KEY[0]}|{KEY[1]}", shown), kind
