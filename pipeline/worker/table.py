"""The state: one Faust table, keyed by customer, backed by the compacted topic ``customer-states``.

Rules
-----
- A value is written to the changelog and confirmed by the broker before the table shows it (``pipeline.flow``, step 4);
  Faust's own changelog producer, which does not wait, is not used.
- Each partition has a store of encoded states that knows up to which offset of the changelog it is right. A partition
  that stays after a rebalance, or lies on disk, is brought up to date from there instead of from the beginning.
- Customers are kept encoded, so memory is bounded by the encoded states, or by the store's cache.
- Beside customers it holds pieces (:mod:`pipeline.core.state.marks`), under keys that are nobody's.
- A worker that was frozen may have written an old state after a newer one. The applied offsets inside tell which is
  newer: recovery keeps that one, whatever their order, and ``Partition.superseded`` names what must be written again.
  Of two versions of a piece it keeps what either holds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import faust
import structlog
from faust.stores import memory
from faust.types import TP

from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.state.customer import Customer, decode_state, is_newer
from pipeline.core.state.marks import OWN, is_piece, is_readable, merged
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import BadEvent, LoyaltyError, Reason, Refused
from pipeline.exits import Exit, end_process
from pipeline.worker.stores import Store

OpenStore = Callable[[int], Store]


class Partition:
    """One partition's customers, encoded in a store.

    Each read decodes. Keeping decoded customers would not pay: their hundred objects lie all over memory, and reaching
    for them takes as long as making them from 400 bytes that lie side by side.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def superseded(self) -> set[bytes]:
        """The keys to write again: those whose newest record in the changelog is an older one."""
        return self.store.superseded

    def written_again(self, values: Mapping[bytes, bytes], last: int) -> None:
        """They are in the changelog once more, the last of them at the offset ``last``."""
        self.superseded.clear()
        self.store.put(values, last)

    def read(self, key: bytes) -> Customer | None:
        """A customer, ``None`` when nothing is known of them here."""
        value = self.store.get(key)
        return None if value is None else _decoded(value)

    def replay(self, records: Iterable[Any]) -> None:
        """Take records of the changelog; those that are in the store already are skipped."""
        values: dict[bytes, bytes | None] = {}
        last = self.store.last
        for record in records:
            if record.offset <= last:
                continue
            last, key, value = record.offset, record.key, record.value
            if key is None or (key.startswith(OWN) and not _is_ours(key, value)):
                continue
            before = values[key] if key in values else self.store.get(key)
            values[key] = kept = value if before is None or value is None else _kept(key, value, before)
            if kept == value:
                self.superseded.discard(key)
            else:
                self.superseded.add(key)
        self.store.put(values, last)


def _is_ours(key: bytes, value: bytes | None) -> bool:
    """Whether a record that is no customer's is a piece; somebody else's could have the key of a store's own record."""
    return is_piece(key) and (value is None or is_readable(value))


def _kept(key: bytes, value: bytes, before: bytes) -> bytes:
    """The one of two records with the same key that counts."""
    if is_piece(key):
        return merged(before, value)
    return value if is_newer(value, before) else before


class Customers(memory.Store):  # type: ignore[misc]
    """The table's storage as Faust knows it: the partitions this worker holds."""

    def open_with(self, open_store: OpenStore, crash: CrashPoints) -> None:
        """How a partition's store is opened."""
        self._open_store = open_store
        self.crash = crash
        self.partitions: dict[int, Partition] = {}

    def partition(self, number: int) -> Partition:
        """A partition, opened when it is not. One that cannot be opened ends the process: Faust would wait for ever."""
        partition = self.partitions.get(number)
        if partition is None:
            try:
                partition = self.partitions[number] = Partition(self._open_store(number))
            except LoyaltyError as failed:
                structlog.get_logger().critical(str(failed), partition=number)
                end_process(failed.exit_code)
        return partition

    def persisted_offset(self, tp: TP) -> int | None:
        """The last offset of the changelog that is in a partition's store."""
        last = self.partition(tp.partition).store.last
        return last if last >= 0 else None

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Take slices of the changelog. A failure ends the process: Faust would log it and count them as taken."""
        try:
            for event in batch:
                self.crash.reached(Point.RECOVERY_BATCH)
                self.partition(event.message.partition).replay(event.message.value)
        except Exception:
            structlog.get_logger().critical("the changelog cannot be replayed", exc_info=True)
            end_process(Exit.UNREPLAYABLE)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Let go of partitions that others hold now."""
        held = {tp.partition for tp in active_tps}
        for number in [number for number in self.partitions if number not in held]:
            self.partitions.pop(number).store.close()

    def close(self) -> None:
        """Let go of all partitions; what is kept on disk need not be read from the changelog again."""
        while self.partitions:
            self.partitions.popitem()[1].store.close()


class CustomerTable(faust.Table):  # type: ignore[misc]
    """Faust's table with reads and writes per partition."""

    open_store: OpenStore
    crash: CrashPoints

    def _new_store(self) -> Customers:
        store = Customers("memory://", self.app, self, table_name=self.name, key_type=bytes, value_type=bytes)
        store.open_with(self.open_store, self.crash)
        return store

    @property
    def customers(self) -> Customers:
        """The partitions."""
        return self.data  # type: ignore[no-any-return]

    def count(self) -> int:
        """How many customers this worker knows."""
        return sum(len(partition.store) for partition in list(self.customers.partitions.values()))

    def read(self, partition: int, customer_id: bytes) -> Customer | None:
        """A customer of a partition; ``None`` when nothing is known of them *there*, whatever is known elsewhere."""
        return self.customers.partition(partition).read(customer_id)

    def piece(self, partition: int, key: bytes) -> bytes | None:
        """A piece of a partition."""
        return self.customers.partition(partition).store.get(key)

    def write(self, partition: int, values: Mapping[bytes, bytes], last: int) -> None:
        """Show confirmed customers or pieces."""
        self.customers.partition(partition).store.put(values, last)

    def on_key_set(self, key: Any, value: Any) -> None:
        """Refuse Faust's unconfirmed write."""
        raise TypeError("customers are written through CustomerTable.write, after their changelog was confirmed")


def _decoded(value: bytes) -> Customer:
    """A state of another version stops the worker, for it concerns every customer; a broken one concerns its own."""
    try:
        return decode_state(value)
    except UNREADABLE:  # two of them are a ValueError too
        raise BadEvent(Reason.STATE_UNREADABLE, "the customer's state in customer-states is not one of ours") from None
    except ValueError as unknown:
        raise Refused(
            f"the state in customer-states cannot be read: {unknown}. Rebuild it from the events: loyalty rebuild"
        ) from None
