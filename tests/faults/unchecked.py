"""A sink that does not check windows at its start: the control arm, which shows that the oracle sees a lost one."""

import os

from pipeline.config import from_env
from pipeline.sink import start_checks
from pipeline.sink.app import run
from pipeline.warehouse.client import Warehouse


def trust(warehouse: Warehouse) -> None:
    """Believe that all is well."""


if __name__ == "__main__":
    start_checks.windows = trust
    run(from_env(os.environ))
