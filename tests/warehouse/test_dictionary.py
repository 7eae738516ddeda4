"""The data dictionary that ships is the one the migrations make."""

from pathlib import Path

from pipeline.warehouse.client import connect
from pipeline.warehouse.dictionary import dictionary
from pipeline.warehouse.migrations import migrate
from tests.conftest import ROOT
from tests.warehouses import embedded

PAGE = ROOT / "schemas/clickhouse/DICTIONARY.md"


def test_the_page_is_what_the_warehouse_says_of_itself(tmp_path: Path) -> None:
    """Where this fails: ``loyalty warehouse dictionary > schemas/clickhouse/DICTIONARY.md``, beside a new stack."""
    with embedded(tmp_path) as settings:
        warehouse = connect(settings, create_database=True)
        migrate(warehouse)
        made = dictionary(warehouse)
    assert made == PAGE.read_text()
    assert "| `customer_id` | `String` | " in made
    assert "|  |\n" not in made, "a column says nothing"
