"""Purchases in the raw table, with events that were produced twice, and what the sales by day must be."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pipeline.warehouse.client import Warehouse

COLUMNS = {
    "event_id": "String", "customer_id": "String", "occurred_at": "DateTime64(3, 'UTC')", "amount": "Decimal(18, 4)",
    "currency": "LowCardinality(String)", "channel": "LowCardinality(String)",
    "categories": "Array(LowCardinality(String))", "quantities": "Array(UInt32)", "refund_of": "String",
    "_topic": "LowCardinality(String)", "_partition": "UInt16", "_offset": "UInt64",
}  # fmt: skip
PARTITIONS = 4


class Bought(NamedTuple):
    """A purchase or refund at its place in the log."""

    event_id: str
    customer: int
    day: int
    amount: int
    currency: str
    channel: str
    categories: tuple[str, ...]
    refund: bool
    offset: int

    @property
    def partition(self) -> int:
        """The customer's."""
        return self.customer % PARTITIONS

    def row(self) -> list[Any]:
        """Its row, as far as the aggregates look at it."""
        return [
            self.event_id, f"c-{self.customer}", datetime(2024, 1, self.day, 10, tzinfo=UTC),
            Decimal(-self.amount if self.refund else self.amount), self.currency, self.channel, list(self.categories),
            [2] * len(self.categories), "o-1" if self.refund else "", "purchases", self.partition, self.offset,
        ]  # fmt: skip


def made(count: int, seed: int, customers: int = 80) -> list[Bought]:
    """Purchases in the order of the log; a sixth of them repeats an earlier one, often with other content."""
    chance = random.Random(seed)
    next_offset: dict[int, int] = defaultdict(int)
    found: list[Bought] = []
    for number in range(count):
        new = _new(chance, f"e-{seed}-{number}", chance.randrange(customers))
        if found and chance.random() < 1 / 6:
            first = chance.choice(found)
            other = _new(chance, first.event_id, first.customer)
            new = first if chance.random() < 0.6 else other
        partition = new.partition
        found.append(new._replace(offset=next_offset[partition]))
        next_offset[partition] += 1
    return found


def _new(chance: random.Random, event_id: str, customer: int) -> Bought:
    categories = chance.choice([(), ("tea",), ("tea", "cups", "tea"), ("cups",)])
    return Bought(event_id, customer, chance.randint(1, 5), chance.randint(1, 500), chance.choice(["EUR", "USD"]),
                  chance.choice(["web", "store"]), categories, chance.random() < 0.1, 0)  # fmt: skip


def insert(warehouse: Warehouse, bought: Iterable[Bought], token: str = "") -> None:
    """Write them as the sink does: a block per partition, under a token."""
    by_partition: dict[int, list[Bought]] = defaultdict(list)
    for one in bought:
        by_partition[one.partition].append(one)
    for partition, block in by_partition.items():
        name = token or f"purchases/{partition}/{block[0].offset}-{block[-1].offset}"
        warehouse.insert("raw_purchases", COLUMNS, [one.row() for one in block], name)


def sales(bought: Sequence[Bought], *, by_category: bool = False) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Sales by day (and category), channel and currency, each event once as its first record told it."""
    first: dict[tuple[int, str], Bought] = {}
    for one in sorted(bought, key=lambda b: b.offset):
        first.setdefault((one.customer, one.event_id), one)
    groups: dict[tuple[str, ...], list[Bought]] = defaultdict(list)
    for one in first.values():
        for category in (sorted(set(one.categories)) or [""]) if by_category else [None]:
            middle = [] if category is None else [category]
            groups[f"2024-01-{one.day:02d}", *middle, one.channel, one.currency].append(one)
    return {key: _sums(group, key[1] if by_category else None) for key, group in groups.items()}


def _sums(group: Sequence[Bought], category: str | None) -> tuple[int, ...]:
    purchases = [one for one in group if not one.refund]
    refunds = [one for one in group if one.refund]
    items = [] if category is None else [sum(2 * one.categories.count(category) for one in purchases)]
    spent, refunded = sum(one.amount for one in purchases), sum(one.amount for one in refunds)
    customers = len({one.customer for one in purchases})
    return len(purchases), len(refunds), *items, spent, refunded, spent - refunded, customers


def told(warehouse: Warehouse, *, by_category: bool = False) -> dict[tuple[str, ...], tuple[int, ...]]:
    """The same, as the view tells it."""
    keys = 4 if by_category else 3
    rows = warehouse.query(f"SELECT * FROM {'sales_by_day_and_category' if by_category else 'sales_by_day'}").rows
    return {tuple(map(str, row[:keys])): tuple(round(float(value)) for value in row[keys:]) for row in rows}
