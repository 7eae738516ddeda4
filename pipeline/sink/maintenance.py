"""While `loyalty rebuild` puts new tables into the place of the live ones, no sink writes.

A table called ``rebuild_swap`` says so. A sink that runs sees it, finishes its batch and ends; one that starts waits
until it is gone. Until the last has left the group of sinks, which Kafka knows, nothing is swapped.
"""

import time
from collections.abc import Callable
from operator import not_

import structlog

from pipeline import watched
from pipeline.errors import LoyaltyError
from pipeline.waiting import wait_until
from pipeline.warehouse.client import Warehouse

MARKER = "rebuild_swap"
SECONDS = 2.0


def goes_on(warehouse: Warehouse) -> bool:
    """Whether tables are being swapped, or a swap was interrupted and waits to be finished."""
    return bool(
        warehouse.query(
            "SELECT 1 FROM system.tables WHERE database = {d:String} AND name = {t:String}",
            {"d": warehouse.database, "t": MARKER},
        ).rows
    )


def wait_for_the_end(warehouse: Warehouse) -> None:
    """Return when no tables are being swapped."""
    if goes_on(warehouse):
        structlog.get_logger().warning("`loyalty rebuild` swaps the tables; waiting. Was it interrupted? Run it again")
    wait_until(lambda: goes_on(warehouse), not_, seconds=None, pause=SECONDS)


class TableSwapWatch:
    """Looks every two seconds whether a swap wants the sink to leave."""

    def __init__(self, connecting: Callable[[], Warehouse], leave: Callable[[], None]) -> None:
        self._connecting = connecting
        self._leave = leave
        self.seen = False

    def start(self) -> None:
        """Look in a thread of its own until the process ends."""
        watched.live_again("swap", self._look)

    def _look(self) -> None:
        warehouse: Warehouse | None = None
        while not self.seen:
            time.sleep(SECONDS)
            try:
                warehouse = warehouse or self._connecting()
                self.seen = goes_on(warehouse)
            except LoyaltyError:
                warehouse = None  # away; whoever writes will say so
        self._leave()
