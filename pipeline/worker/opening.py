"""What a worker learns of a partition before it folds the first slice of it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from faust.types import TP

from pipeline.config import Settings
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.state.customer import Customer, glance
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import BadEvent
from pipeline.kafka.incarnations import Bases
from pipeline.topics import ALERTS, STATES
from pipeline.worker.commits import Commit
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.partitions import PartitionState
from pipeline.worker.reading import CommittedPosition, Message, patiently, standing
from pipeline.worker.table import CustomerTable

AT_A_TIME = 10_000
"""So many states are looked at before the event loop takes a turn."""
Commits = Callable[[Iterable[TP]], dict[TP, Commit]]


class Opening:
    """Opens partitions that were recovered."""

    def __init__(
        self,
        settings: Settings,
        table: CustomerTable,
        outputs: KafkaOutputs,
        commits: Callable[[], Commits],
        suppressions: Suppressions,
        bases: Bases,
    ) -> None:
        self._settings = settings
        self._table = table
        self._outputs = outputs
        self._commits = commits
        self._suppressions = suppressions
        self._bases = bases

    async def state_of(self, partition: int) -> PartitionState:
        """Learn how a partition stands.

        Who was erased until now, of whom nothing is folded from the first slice on; what the desk was told; where our
        records will lie.
        """
        await patiently(self._suppressions.read)
        position = await patiently(standing, self._settings, partition, self._commits(), self._bases)
        state = self._reconciled(partition, position)
        held = self._table.customers.partition(partition)
        self._outputs.expect(ALERTS, partition, position.next_alert)
        self._outputs.expect(STATES, partition, held.store.last + 1)
        if held.superseded:
            await self._write_again(partition)
        for number, (key, value) in enumerate(held.store.items()):
            seen = glance(value)
            state.newest_event_ms = max(state.newest_event_ms, seen.last_event_at)
            if seen.has_open_alert:
                state.open.add(key)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
        return state

    def _reconciled(self, partition: int, position: CommittedPosition) -> PartitionState:
        reconciler = AlertReconciler(position.until)
        is_ahead = position.alerts or reconciler
        settled = position.settled if is_ahead else alert_place(self._bases, position.next_alert)
        for message in position.alerts:
            reconciler.note(message.alert, message.applied, self._known(partition, message))
        return PartitionState(reconciler, position.processed, settled)

    def _known(self, partition: int, message: Message) -> Customer | None:
        try:
            return self._table.read(partition, message.alert.customer_id.encode())
        except BadEvent:
            return None

    async def _write_again(self, partition: int) -> None:
        """Put states that an old one was written after on top of it again, before compaction forgets them."""
        held = self._table.customers.partition(partition)
        values = {key: value for key in held.superseded if (value := held.store.get(key)) is not None}
        log: Any = structlog.get_logger()
        log.warning("states were overwritten by older ones; written again", partition=partition, states=len(values))
        held.written_again(values, await self._outputs.states(partition, values))


def alert_place(bases: Bases, offset: int) -> int:
    """The broker's offset of an alert as ours."""
    return bases.get(ALERTS.name, 0) + offset
