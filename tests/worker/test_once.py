"""Every event counts once, whatever is repeated, cut, read in another order, lost in a crash or written too late.

A small world: topics with repeated events of one customer, a changelog, and workers made of the real flow and the real
store. A worker is killed after any record of the changelog; the next one recovers from what is there and reads all
topics again in another order.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contract.decode import Decoder
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.state.customer import Customer, decode_state
from pipeline.core.state.marks import entries, is_piece, moved_of
from pipeline.flow import process
from pipeline.records import AlertUpdate, DeadLetter, Record, Slice
from pipeline.topics import INPUTS
from pipeline.worker.stores import MemoryStore
from pipeline.worker.table import Partition

AT = 1_790_000_000_000
KEY = b"c-1"
KINDS = {topic.name: topic.kind for topic in INPUTS if topic.kind}
DECODERS = {name: Decoder(kind) for name, kind in KINDS.items()}
FIELDS: dict[str, dict[str, object]] = {
    "purchases": {"order_id": "o", "amount": "1", "currency": "EUR"},
    "service-contacts": {"contact_id": "k", "issue_id": "i", "stage": "opened", "opened_at": "2026-01-01T00:00:00Z",
                         "channel": "phone", "kind": "question"},
    "surveys": {"instrument": "nps", "score": 9},
    "alert-outcomes": {"alert_id": "a", "action": "called", "result": "retained"},
}  # fmt: skip


class Changed(NamedTuple):
    """A record of the changelog."""

    offset: int
    key: bytes
    value: bytes | None


def log_of(chance: random.Random, count: int, ids: int) -> dict[str, list[Record]]:
    """Topics in which about every second event is one that was there before, under ids that topics share."""
    log: dict[str, list[Record]] = {topic: [] for topic in FIELDS}
    for _ in range(count):
        topic, number = chance.choice(list(FIELDS)), chance.randrange(ids)
        moment = f"2026-01-{chance.randint(1, 28):02}T00:00:00Z"  # a repeated event may carry another moment
        event = {"event_id": f"e-{number}", "customer_id": "c-1", "occurred_at": moment} | FIELDS[topic]
        log[topic].append(Record(len(log[topic]), AT, KEY, msgspec.json.encode(event), []))
    return log


def distinct(log: Mapping[str, Sequence[Record]]) -> dict[str, int]:
    return {
        topic: len({msgspec.json.decode(record.value or b"")["event_id"] for record in records})
        for topic, records in log.items()
    }


def counted(customer: Customer) -> dict[str, int]:
    counts = {
        "purchases": customer.purchases,
        "service-contacts": customer.contact_events,
        "surveys": customer.survey_answers,
    }
    return counts | {"alert-outcomes": customer.events - sum(counts.values())}


class Worker:
    """A worker that has recovered from a changelog and adds to a copy of it."""

    def __init__(self, changelog: Sequence[Changed]) -> None:
        self.changelog = list(changelog)
        self.partition = Partition(MemoryStore())
        self.partition.replay(self.changelog)
        again = {key: value for key in self.partition.superseded if (value := self.partition.store.get(key))}
        if again:
            self.partition.written_again(again, self._append(again))

    def _append(self, values: Mapping[bytes, bytes]) -> int:
        for key, value in values.items():
            self.changelog.append(Changed(len(self.changelog), key, value))
        return len(self.changelog) - 1

    def read(self, _partition: int, customer_id: bytes) -> Customer | None:
        return self.partition.read(customer_id)

    def piece(self, _partition: int, key: bytes) -> bytes | None:
        return self.partition.store.get(key)

    def write(self, _partition: int, values: Mapping[bytes, bytes], last: int) -> None:
        self.partition.store.put(values, last)

    async def effects(self, _partition: int, _news: Sequence[AlertUpdate], _dead: Sequence[DeadLetter]) -> None:
        """Nobody listens."""

    async def pieces(self, _partition: int, values: Mapping[bytes, bytes]) -> int:
        return self._append(values)

    async def states(self, _partition: int, values: Mapping[bytes, bytes]) -> int:
        return self._append(values)

    async def work(self, log: Mapping[str, Sequence[Record]], chance: random.Random, most: int) -> "Worker":
        """Read all topics from their beginning: those of a topic in order, topics in any, in batches of any size."""
        place = dict.fromkeys(log, 0)
        while left := [topic for topic in log if place[topic] < len(log[topic])]:
            slices = []
            for topic in chance.sample(left, chance.randint(1, len(left))):
                first, place[topic] = place[topic], place[topic] + chance.randint(1, most)
                slices.append(Slice(topic, 0, 1, log[topic][first : place[topic]]))
            await process(slices, DECODERS, self, self, AlertReconciler(), {})
        return self

    @property
    def customer(self) -> Customer:
        """The customer as they stand in the changelog."""
        found = self.partition.read(KEY)
        assert found is not None
        return found


def worked(
    changelog: Sequence[Changed], log: Mapping[str, Sequence[Record]], chance: random.Random, most: int
) -> Worker:
    return asyncio.run(Worker(changelog).work(log, chance, most))


worlds = st.tuples(
    st.integers(0, 2**32).map(random.Random), st.sampled_from([40, 250, 700]), st.sampled_from([3, 40, 400])
)


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_a_crash_between_any_two_records_of_the_changelog_loses_and_doubles_nothing(
    world: tuple[random.Random, int, int],
) -> None:
    chance, ids, most = world
    log = log_of(chance, 900, ids)
    changelog: list[Changed] = []
    for _ in range(3):
        worker = worked(changelog, log, chance, most)
        assert counted(worker.customer) == distinct(log)
        changelog = worker.changelog[: chance.randint(0, len(worker.changelog))]
    assert worker.customer.moved >= 0
    assert (moved_of(worker.customer) > 0) == (worker.customer.events >= 128)


@settings(max_examples=15, deadline=None)
@given(worlds)
def test_what_a_frozen_worker_writes_after_its_successor_changes_nothing(world: tuple[random.Random, int, int]) -> None:
    chance, ids, most = world
    log = log_of(chance, 900, ids)
    begun = worked([], log, chance, most).changelog
    common = begun[: chance.randint(0, len(begun))]
    frozen = worked(common, log, chance, most).changelog[len(common) :]
    late = frozen[: chance.randint(0, len(frozen))]
    successor = worked(common, {topic: records[: len(records) // 2] for topic, records in log.items()}, chance, most)
    mixed = [Changed(n, r.key, r.value) for n, r in enumerate([*successor.changelog, *late])]
    again = worked(mixed, log, chance, most)
    assert counted(again.customer) == distinct(log)
    last = {record.key: record.value for record in again.changelog}
    assert last == dict(again.partition.store.items()) | dict(again.partition.store.pieces())


def test_pieces_are_in_the_changelog_before_the_state_that_needs_them() -> None:
    log = log_of(random.Random(1), 1_500, 900)
    moved, there = 0, set[bytes]()
    for record in worked([], log, random.Random(2), 50).changelog:
        if is_piece(record.key):
            there.update(dict(entries(record.value or b"")))
        else:
            moved = moved_of(decode_state(record.value or b""))
            assert moved <= len(there)
    assert moved > 500
