"""A sink whose tokens are worth nothing: the control arm, which shows that the tests can see a doubled row."""

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config import Settings, from_env
from pipeline.sink.app import run
from pipeline.sink.warehouse import Warehouse, connect


class Forgetful(Warehouse):
    """Inserts under a token nobody has seen before."""

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert; the same rows again are written again."""
        super().insert(table, columns, rows, f"{token}/{uuid.uuid4()}")


def connected(settings: Settings, *, create_database: bool = False) -> Warehouse:
    """Connect as the product does."""
    made = connect(settings, create_database=create_database)
    made.__class__ = Forgetful
    return made


if __name__ == "__main__":
    run(from_env(os.environ), connected)
