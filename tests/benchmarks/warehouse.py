"""The warehouse at ten million events: bytes per event on disk, and the time of every question of the cookbook.

A small population is simulated, folded and made into rows as the pipeline does; the engine then multiplies it: every
copy of a customer has ids of its own. What is filled by materialized views fills itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

import orjson

from pipeline.analysis.answers import AskedQuestion
from pipeline.analysis.cookbook import shipped
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.state.customer import Customer
from pipeline.records import Record
from pipeline.simulate.population import lives
from pipeline.sink import duplicates
from pipeline.sink.rows import TABLES, Row, RowPlace, by_topic
from pipeline.topics import ALERTS, STATES
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.own_columns import columns
from tests.benchmarks.ground import Ground
from tests.benchmarks.report import Cell, Table
from tests.benchmarks.same_step import SameStep, alert_bytes, write_state
from tests.faults.field import Field
from tests.faults.warehouse import with_warehouse
from tests.stacks import eventually

SEED = 3
PARTITIONS = 4
COPIES_AT_ONCE = 20
IDS = (
    "customer_id", "event_id", "order_id", "refund_of", "contact_id", "issue_id", "alert_id", "referred_by",
    "caused_by_event", "contact_ids", "evidence",
)  # fmt: skip
"""Columns in which a copy differs from its original."""
RAW = [table for table in TABLES if table.startswith("raw_")]
REPEATS = 2
LONG_SECONDS = 20.0
"""What has taken so long is not asked again."""


def run(ground: Ground) -> list[Table]:
    """Fill a warehouse, let it come to rest, and ask everything."""
    field, sizes = ground.new_field(), ground.sizes
    with_warehouse(field)
    try:
        warehouse = connect(field.settings, create_database=True)
        migrate(warehouse)
        events = _fill(field, warehouse, sizes.stored_customers, sizes.days, sizes.stored)
        return [_sizes(warehouse, events), _times(field.settings, events)]
    finally:
        field.end()


def _fill(field: Field, warehouse: Warehouse, customers: int, days: int, events: int) -> int:
    """Rows for at least so many raw events; returns how many."""
    seeds = connect(field.settings.with_changes(database=f"{field.settings.database}_seed"), create_database=True)
    migrate(seeds)
    for table, rows in _population(customers, days).items():
        seeds.insert(table, columns(seeds, table), rows, table)
    seeded = sum(int(seeds.value(f"SELECT count() FROM {table}")) for table in RAW)
    copies = -(-events // seeded)
    for table in TABLES:
        stride = int(seeds.value(f"SELECT max(_offset) + 1 FROM {table}"))
        for first in range(0, copies, COPIES_AT_ONCE):
            count = min(COPIES_AT_ONCE, copies - first)
            warehouse.command(_copying(columns(seeds, table), table, seeds.database, stride, first, count))
    duplicates.search(warehouse, _ends(warehouse))  # as a sink does every minute
    at_rest(warehouse)
    return sum(int(warehouse.value(f"SELECT count() FROM {table}")) for table in RAW)


def _ends(warehouse: Warehouse) -> dict[tuple[str, int], int]:
    """The offset after the last of every topic partition."""
    return {
        (str(topic), int(partition)): int(end)
        for table in TABLES
        for topic, partition, end in warehouse.query(
            f"SELECT _topic, _partition, max(_offset) + 1 FROM {table} GROUP BY _topic, _partition"
        ).rows
    }


def _population(customers: int, days: int) -> dict[str, list[Row]]:
    """Rows of every table for simulated customers whose last event is of yesterday."""
    start = (datetime.now(UTC) - timedelta(days=days + 1)).date()
    lived = [
        (str(event["occurred_at"]), topic, event)
        for topic, event in chain.from_iterable(lives(range(customers), days, SEED, start))
    ]
    lived.sort(key=lambda each: each[0])
    step, makers, states, now = SameStep(), by_topic(), dict[str, Customer](), int(time.time() * 1000)
    rows: dict[str, list[Row]] = {}

    def add(topic: str, key: str, offset: int, value: bytes) -> None:
        place = RowPlace(topic, partition_of(key.encode(), PARTITIONS), PARTITIONS)
        for table, row in makers[topic](place, Record(offset, now, key.encode(), value, ())):
            rows.setdefault(table, []).append(row)

    told = 0
    for offset, (_, topic, event) in enumerate(lived):
        key, value = str(event["customer_id"]), orjson.dumps(event)
        add(topic, key, offset, value)
        done = step.fold(topic, offset, step.decode(topic, now, value), states.get(key))
        states[key] = done.customer
        for alert in done.alerts:
            add(ALERTS.name, key, told, alert_bytes(alert))
            told += 1
    for offset, (key, customer) in enumerate(states.items()):
        add(STATES.name, key, offset, write_state(customer))
    return rows


def _copying(types: dict[str, str], table: str, seeds: str, stride: int, first: int, count: int) -> str:
    """The statement that inserts so many copies of a table's rows."""
    suffix = "concat({0}, '~', toString(copy))"
    changed = [f"_offset + copy * {stride} AS _offset"]
    for name in filter(types.__contains__, IDS):
        one = f"if(empty(x), x, {suffix.format('x')})"
        many = types[name].startswith("Array")
        changed.append(f"arrayMap(x -> {one}, {name}) AS {name}" if many else f"{one.replace('x', name)} AS {name}")
    names = ", ".join(types)
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM (SELECT * REPLACE ({', '.join(changed)}) "
        f"FROM (SELECT s.*, number AS copy FROM {seeds}.{table} AS s CROSS JOIN numbers({first}, {count}) AS n)) "
        "SETTINGS max_memory_usage = 8000000000, max_partitions_per_insert_block = 0"
    )


def at_rest(warehouse: Warehouse) -> None:
    """Wait until the engine has merged what it wants to merge."""
    calm = iter(_calm(warehouse))
    eventually(lambda: next(calm), 300, "merges come to rest")


def _calm(warehouse: Warehouse) -> Iterator[bool]:
    """Whether nothing was being merged at two looks, a second apart."""
    before = False
    while True:
        time.sleep(1)
        now = int(warehouse.value("SELECT count() FROM system.merges")) == 0
        yield now and before
        before = now


def _sizes(warehouse: Warehouse, events: int) -> Table:
    rows: list[Sequence[Cell]] = [
        (str(table), int(count), int(size) / 2**20, int(size) / max(int(count), 1), float(ratio))
        for table, count, size, ratio in warehouse.query(
            "SELECT table, sum(rows), sum(bytes_on_disk), "
            "round(sum(data_uncompressed_bytes) / greatest(sum(data_compressed_bytes), 1), 2) "
            "FROM system.parts WHERE active AND database = {d:String} GROUP BY table ORDER BY 3 DESC",
            {"d": warehouse.database},
        ).rows
    ]
    total = sum(float(row[2] or 0) for row in rows)
    rows.append(("all, per raw event", events, total, total * 2**20 / events, None))
    how = f"{events:,} raw events; what materialized views fill is counted as well."
    return Table("Bytes on disk", how, ("table", "rows", "MiB", "bytes a row", "compressed"), rows)


def _times(settings: Settings, events: int) -> Table:
    rows: list[Sequence[Cell]] = []
    for question in shipped():
        rows.append((question.name, *_timed(lambda q=question: AskedQuestion(settings, q, {}).rows(None).rows)))  # type: ignore[misc]
    how = (
        f"Seconds over {events:,} raw events, as `loyalty ask` asks: the first time, and the best of up to {REPEATS} "
        "more; no cache of results."
    )
    return Table("Time of every question", how, ("question", "first, s", "s", "rows"), rows)


def _timed(ask: Callable[[], Sequence[object]]) -> tuple[float, float, int]:
    taken, found = list[float](), 0
    while len(taken) <= REPEATS and sum(taken) < LONG_SECONDS:
        started = time.perf_counter()
        found = len(ask())
        taken.append(time.perf_counter() - started)
    return taken[0], min(taken[1:] or taken), found
