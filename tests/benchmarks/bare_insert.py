"""``python -m tests.benchmarks.bare_insert JOB``: what inserting costs without a sink.

The rows are made before the clock starts, of plain Python values; then each table's go in through the client's own
``insert``, in the sink's blocks, under its tokens, over as many connections. No Kafka, no intents, no commits.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from pipeline import kafka
from pipeline.config import Settings
from pipeline.sink.app import WRITERS
from pipeline.sink.batches import BatchPolicy
from pipeline.sink.rows import Row, RowPlace, by_topic
from pipeline.topics import INPUTS
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.own_columns import columns

Block = tuple[str, Sequence[Row], str]
"""A table, rows of one topic partition, and the token of the insert."""


def blocks(settings: Settings) -> list[Block]:
    """Everything in the input topics as the rows and blocks of a sink."""
    found: list[Block] = []
    made, most = by_topic(), BatchPolicy().records
    reader = kafka.reading(settings, "bare", settings.group("bare"))
    with reader as consumer:
        for topic in INPUTS:
            for partition in range(settings.partitions):
                place = RowPlace(topic.name, partition, settings.partitions)
                rows: dict[str, list[Row]] = {}
                for message in kafka.read_range(consumer, settings.topic(topic.name), partition, 0):
                    for table, row in made[topic.name](place, kafka.record_of(message)):
                        rows.setdefault(table, []).append(row)
                for table, all_of_it in rows.items():
                    for start in range(0, len(all_of_it), most):
                        token = f"bare/{topic.name}/{partition}/{start}"
                        found.append((table, all_of_it[start : start + most], token))
    return found


def _plain(row: Row, types: Mapping[str, str]) -> Row:
    """A row with its moments as moments: the sink writes them as the integers they become."""
    return tuple(
        datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) and kind.startswith("DateTime64") else value
        for value, kind in zip(row, types.values(), strict=True)
    )


def _client(settings: Settings) -> Client:
    address = urlsplit(settings.clickhouse)
    return clickhouse_connect.get_client(
        host=address.hostname or "", port=address.port or 0, database=settings.database, compress=False,
        autogenerate_session_id=False,
    )  # fmt: skip


def main() -> None:
    """Insert everything and print how many rows, seconds of wall clock and of this process's CPU."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    settings = Settings(**job)
    warehouse = connect(settings, create_database=True)
    migrate(warehouse)
    found = blocks(settings)
    types = {table: columns(warehouse, table) for table, _, _ in found}
    found = [(table, [_plain(row, types[table]) for row in rows], token) for table, rows, token in found]
    clients = [_client(settings) for _ in range(WRITERS)]
    Path(settings.data_dir, "bare-ready").touch()
    while not Path(settings.data_dir, "bare-go").exists():
        time.sleep(0.1)
    wall, cpu = time.perf_counter(), time.process_time()

    def lane(number: int) -> None:
        for table, rows, token in found[number::WRITERS]:
            names, kinds = list(types[table]), list(types[table].values())
            clients[number].insert(table, rows, names, column_type_names=kinds, settings=Warehouse.tokens(token))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lane, range(WRITERS)))
    spent = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"rows": sum(len(rows) for _, rows, _ in found), "seconds": spent[0], "cpu_seconds": spent[1]}))


if __name__ == "__main__":
    main()
