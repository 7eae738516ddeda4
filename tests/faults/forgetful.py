"""A sink whose tokens are worth nothing: the control arm, which shows that the tests can see a doubled row."""

import os
import uuid

from pipeline.config import Settings, from_env
from pipeline.sink.app import run
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.encoding import Encoded


class Forgetful(Warehouse):
    """Inserts under a token nobody has seen before."""

    def insert_encoded(self, block: Encoded, token: str) -> None:
        """Insert; the same rows again are written again."""
        super().insert_encoded(block, f"{token}/{uuid.uuid4()}")


def connected(settings: Settings, *, create_database: bool = False) -> Warehouse:
    """Connect as the product does."""
    made = connect(settings, create_database=create_database)
    made.__class__ = Forgetful
    return made


if __name__ == "__main__":
    run(from_env(os.environ), connected)
