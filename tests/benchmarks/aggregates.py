"""What aggregates cost: inserts with and without their views, and the time of every view over many events.

``python -m tests.benchmarks.aggregates ROWS`` measures on an embedded warehouse of its own. Rates are given per second
of the engine's own processor time as well: on a machine that does other things the clock is a poor witness.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from pipeline.config import Settings
from pipeline.sink import duplicates
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate, shipped
from pipeline.warehouse.own_columns import columns
from tests.warehouses import embedded

BATCH = 20_000
BATCHES = 15
START = datetime(2024, 1, 1, tzinfo=UTC)
VIEWS = ("sales_by_day", "sales_by_day_and_category")
GENERATED = """
INSERT INTO raw_purchases (event_id, customer_id, occurred_at, order_id, amount, currency, channel, categories,
                           quantities, refund_of, _topic, _partition, _offset)
SELECT
    lower(hex(sipHash128(number))) AS event_id,
    concat('customer-', toString(cityHash64(number) % 200000)) AS customer,
    toDateTime64('2023-01-01 00:00:00', 3, 'UTC') + intDiv(number * 63072000, {rows:UInt64}) AS occurred_at,
    event_id,
    (number % 50000) / 100,
    ['EUR', 'USD'][number % 2 + 1],
    ['web', 'store', 'app', 'phone'][number % 4 + 1],
    [['tea'], ['tea', 'cups'], ['cups'], ['pots', 'tea']][number % 4 + 1] AS categories,
    arrayWithConstant(length(categories), 1),
    if(number % 50 = 0, 'o', ''),
    'purchases',
    cityHash64(customer) % 4,
    number
FROM numbers({start:UInt64}, {count:UInt64})
"""


@contextmanager
def timed(engine: psutil.Process, found: list[tuple[float, float]]) -> Iterator[None]:
    """Seconds by the clock, and of the engine's processor time."""
    wall, used = time.perf_counter(), sum(engine.cpu_times()[:2])
    yield
    found.append((time.perf_counter() - wall, sum(engine.cpu_times()[:2]) - used))


def rows(names: list[str], start: int) -> list[list[Any]]:
    """A batch as a sink makes it."""
    made: dict[str, Callable[[int], Any]] = {
        "event_id": lambda n: f"event-{n}", "customer_id": lambda n: f"customer-{n * 7919 % 50_000}",
        "occurred_at": lambda n: START + timedelta(seconds=n % 6_000_000), "order_id": lambda n: f"o-{n}",
        "amount": lambda n: Decimal(n % 10_000), "currency": lambda n: ("EUR", "USD")[n % 2],
        "channel": lambda n: ("web", "store", "app")[n % 3], "categories": lambda n: ["tea", "cups"],
        "quantities": lambda n: [1, 2], "_appended_at": lambda n: START, "_topic": lambda n: "purchases",
        "_partition": lambda n: 0, "_offset": lambda n: n,
    }  # fmt: skip
    empty: dict[str, Any] = {name: [] for name in ("binding_kinds", "binding_ends", "binding_notices")}
    empty |= dict.fromkeys(("incentivised", "obligated", "synthetic"), False)
    empty |= dict.fromkeys(("programme_member", "promised_delivery_at", "delivered_at", "survey_consent_at"))
    return [
        [made[name](n) if name in made else empty.get(name, "") for name in names] for n in range(start, start + BATCH)
    ]


def inserts(warehouse: Warehouse, engine: psutil.Process, first: int) -> tuple[float, float]:
    """Rows per second, and per second of the engine's processor time."""
    kinds = columns(warehouse, "raw_purchases")
    found: list[tuple[float, float]] = []
    for number in range(BATCHES):
        block = rows(list(kinds), first + number * BATCH)
        with timed(engine, found):
            warehouse.insert("raw_purchases", kinds, block, f"bench/{first}/{number}")
    wall, used = (sum(column) for column in zip(*found, strict=True))
    return BATCHES * BATCH / wall, BATCHES * BATCH / used


def compare(settings: Settings, engine: psutil.Process) -> None:
    """Inserts into the raw table as it was, and with the column and the views of the aggregates; in turns."""
    plain = connect(settings.with_changes(database="plain"), create_database=True)
    migrate(plain, [migration for migration in shipped() if migration.number < 7])
    whole = connect(settings.with_changes(database="whole"), create_database=True)
    migrate(whole)
    for turn in range(2):
        for name, warehouse in (("without", plain), ("with", whole)):
            wall, used = inserts(warehouse, engine, turn * BATCH * BATCHES)
            print(f"{name:8} aggregates: {wall:9,.0f} rows/s, {used:9,.0f} rows per processor second", flush=True)


def views(warehouse: Warehouse, engine: psutil.Process, count: int) -> None:
    """The views over many events: nothing new, and a minute of new ones with one in fifty repeated."""
    for start in range(0, count, 500_000):
        warehouse.command(GENERATED, {"rows": count, "start": start, "count": min(500_000, count - start)})
    ask(warehouse, engine, f"{count:,} events, no search yet", ("sales_by_day",), 1)
    found: list[tuple[float, float]] = []
    with timed(engine, found):
        duplicates.search(warehouse, {("purchases", partition): count for partition in range(4)})
    print(f"the first search: {found[0][0]:.2f} s, {found[0][1]:.2f} processor seconds")
    ask(warehouse, engine, f"{count:,} events, all searched", VIEWS)
    for new in (6_000, 60_000):
        warehouse.command(GENERATED, {"rows": count, "start": count + new, "count": new})
        warehouse.command(
            "INSERT INTO raw_purchases SELECT * REPLACE (_offset + 1000000000 AS _offset) FROM raw_purchases "
            "WHERE _offset < {count:UInt64} "
            "AND cityHash64(_offset, {new:UInt64}) % intDiv({count:UInt64} * 50, {new:UInt64}) = 0",
            {"count": count, "new": new},
        )
        ask(warehouse, engine, f"and about {new:,} new ones, a fiftieth repeated", ("repeats_of_purchases", *VIEWS))


def ask(warehouse: Warehouse, engine: psutil.Process, what: str, names: tuple[str, ...], times: int = 3) -> None:
    """The best of some, whole, and for sales also without the customers."""
    asked = {name: f"SELECT * FROM {name} FORMAT Null" for name in names}
    asked |= {f"{name}, no customers": f"SELECT day, sum(net) FROM {name} GROUP BY day FORMAT Null" for name in names
              if name in VIEWS}  # fmt: skip
    for name, sql in asked.items():
        found: list[tuple[float, float]] = []
        for _ in range(times):
            with timed(engine, found):
                warehouse.command(sql)
        wall, used = min(found)
        print(f"{what}: {name}: {wall:.2f} s, {used:.2f} processor seconds", flush=True)


if __name__ == "__main__":
    with embedded(Path(tempfile.mkdtemp())) as running:
        (child,) = psutil.Process().children()
        compare(running, child)
        own = connect(running.with_changes(database="large"), create_database=True)
        migrate(own)
        views(own, child, int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
