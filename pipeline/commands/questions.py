"""Questions that travel with the program: one SQL file each, whose first line is the question."""

from typing import NamedTuple

from pipeline import resources
from pipeline.sink.warehouse import Result, Warehouse


class Question(NamedTuple):
    """A question in words and the SQL that answers it."""

    name: str
    text: str
    sql: str

    def ask(self, warehouse: Warehouse) -> Result:
        """The answer."""
        return warehouse.query(self.sql)


def shipped() -> list[Question]:
    """All questions, in order."""
    found = []
    folder = resources.schemas() / "clickhouse" / "cookbook"
    for entry in sorted(folder.iterdir(), key=lambda file: file.name):
        first, _, sql = entry.read_text().partition("\n")
        found.append(Question(entry.name.removesuffix(".sql"), first.removeprefix("--").strip(), sql.strip()))
    return found
