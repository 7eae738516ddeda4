"""The data dictionary and the picture of the tables that ship are those that the migrations make."""

from collections.abc import Iterator

import pytest

from pipeline.config import Settings
from pipeline.operations import schema
from pipeline.sink.rows import TABLES
from pipeline.topics import BY_NAME
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.picture import WIDTH, picture
from tests.conftest import ROOT
from tests.warehouses import embedded

PAGES = ROOT / "schemas/clickhouse"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with embedded(tmp_path_factory.mktemp("dictionary")) as running:
        migrate(connect(running, create_database=True))
        yield running


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    return connect(settings)


def test_the_page_is_what_the_warehouse_says_of_itself(settings: Settings) -> None:
    """Where this fails: ``loyalty warehouse dictionary > schemas/clickhouse/DICTIONARY.md``, beside a new stack."""
    page = schema.described(settings)
    assert page == (PAGES / "DICTIONARY.md").read_text()
    assert "| `customer_id` | `String` | " in page
    assert "|  |\n" not in page, "a column says nothing"


def test_the_picture_in_the_readme_is_that_of_the_warehouse(settings: Settings) -> None:
    """Where this fails: put what ``loyalty warehouse dictionary --picture`` prints between the two markers."""
    drawn = schema.drawn(settings)
    block = (PAGES / "README.md").read_text().split("<!-- picture -->\n")[1].split("<!-- /picture -->")[0]
    assert block == f"```text\n{drawn}```\n"
    assert max(map(len, drawn.splitlines())) == WIDTH == 80


UNSTORED = {"webhook-pending", "webhook-attempts"}
"""The memory and the log of notifiers stay in Kafka."""


def test_every_table_of_the_sink_has_its_topic_in_the_picture() -> None:
    assert schema.TOPICS.keys() == set(TABLES)
    assert set(schema.TOPICS.values()) == set(BY_NAME) - UNSTORED


def test_the_picture_follows_the_warehouse_where_somebody_adds_a_view(warehouse: Warehouse) -> None:
    warehouse.command(
        "CREATE VIEW ours AS SELECT customer_id FROM purchases JOIN alerts USING (customer_id)"
        " COMMENT 'Everything FROM customers'"
    )
    try:
        assert f"{'ours':<36}alerts, purchases\n" in picture(warehouse, schema.TOPICS)
    finally:
        warehouse.command("DROP VIEW ours")
