"""Runs slices through :mod:`pipeline.flow`: those of a partition together, partitions side by side.

Agents hand over their slices and take the next. What has arrived for a partition, of all topics, is folded together, so
that a customer is read, looked at and written once for all of it. While the broker confirms one partition's results,
another's are folded.

An exception that leaves an agent would make Faust go on behind the slice it failed on. So none leaves: an unforeseen
failure ends the process on the spot, with nothing committed, and the slice is read again after the restart. What is in
hand when the worker is told to stop, or gives partitions up, is finished first.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import structlog

from pipeline import metrics
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.risk.assessment import RiskPolicy
from pipeline.core.state.customer import DAY_MS
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import LoyaltyError
from pipeline.exits import Exit, end_process
from pipeline.flow import deliver, process
from pipeline.fold_result import FoldResult
from pipeline.folding import look_at_time
from pipeline.kafka.commit_metadata import note_of
from pipeline.kafka.incarnations import Bases
from pipeline.records import Slice
from pipeline.topics import ALERTS, INPUTS, Topic
from pipeline.worker.guards.fuse import Blown
from pipeline.worker.guards.fuses import Fuses
from pipeline.worker.opening import Opening, alert_place
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.partitions import PartitionQueue, PartitionState, Waiting
from pipeline.worker.reading import patiently
from pipeline.worker.suppression import forget
from pipeline.worker.table import CustomerTable
from pipeline.worker.transport import Consumer

MAX_TICKED = 1_000
"""How many customers are looked at again before their results are written."""
MAX_WAITING = 160_000
"""How many records of all partitions wait at most, but for the last slices: what is fetched costs memory."""
MAX_TOGETHER = 40_000
"""How many records of a partition are folded together at most: nothing else happens meanwhile."""


class Engine:
    """Takes slices from the agents and tells the consumer when everything they came to is durable."""

    def __init__(
        self,
        settings: Settings,
        table: CustomerTable,
        outputs: KafkaOutputs,
        facts: metrics.WorkerMetrics,
        consumer: Callable[[], Consumer],
        policy: RiskPolicy,
        suppressions: Suppressions,
        bases: Bases,
        fuses: Fuses,
    ) -> None:
        self._settings = settings
        self._table = table
        self._outputs = outputs
        self._facts = facts
        self._decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
        self._fuses = fuses
        self._consumer = consumer
        self._policy = policy
        self._suppressions = suppressions
        self._bases = bases
        self._opening = Opening(settings, table, outputs, lambda: consumer().commits, suppressions, bases)
        together = min(MAX_TOGETHER, max(1, MAX_WAITING // settings.partitions))
        self._lines: defaultdict[int, PartitionQueue] = defaultdict(lambda: PartitionQueue(together))
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lanes: dict[int, PartitionState] = {}
        self._holding = False
        self._log = structlog.get_logger()

    def assigned(self) -> None:
        """Partitions were assigned and recovered: what others did with them meanwhile has to be read."""
        self._lanes.clear()
        self._outputs.forget()
        self._holding = True

    async def revoked(self) -> None:
        """Slices in hand are finished and the partitions are given up: until ``assigned`` no state can be read.

        Returns when what a timer had begun is finished too.
        """
        self._holding = False
        for lock in list(self._locks.values()):  # what waits for one may add another
            async with lock:
                pass

    def note(self, topic: str, partition: int) -> str:
        """The note of a commit: up to where alerts are in the state, how far a replay goes."""
        lane = self._lanes.get(partition)
        return (
            note_of(lane.settled, lane.reconciler.until.get(self._settings.logical(topic))) if lane is not None else ""
        )

    async def take(self, topic: Topic, message: Any) -> None:
        """Accept a slice; returns when its partition has room for another. ``message.value`` holds its records."""
        if not self._consumer().ledger.taken(message.tp, message.offset):
            self._log.critical("a slice was dropped before its agent saw it; nothing of it is committed")
            end_process(Exit.CRASHED)
        line = self._lines[message.partition]
        line.put(Waiting(topic, message))
        if line.task is None:
            line.task = asyncio.ensure_future(
                self._exit_on_failure(self._work_off(message.partition, line), topic.name)
            )
        await line.has_room()

    async def _work_off(self, partition: int, line: PartitionQueue) -> None:
        async with self._locks[partition]:
            while taken := line.take():
                current = [w for w in taken if self._holding and self._consumer().is_current(w.message)]
                durable = await self._process(partition, current)
                for waiting in taken:
                    self._consumer().finished(waiting.message, durable=waiting in durable)
            line.task = None

    async def watch_outputs(self, partition: int, ends: dict[Topic, int]) -> None:
        """See whether somebody else wrote behind our last record; ``ends`` is where the partitions end."""
        if self._holding and partition in self._lanes and not self._locks[partition].locked():
            async with self._locks[partition]:
                await self._exit_on_failure(self._examine(partition, ends), "outputs")

    async def _examine(self, partition: int, ends: dict[Topic, int]) -> None:
        for topic, end in ends.items():
            expected = self._outputs.next_offset(topic, partition)
            if expected is not None and end > expected:
                await self._outputs.examine(topic, partition, expected, end, 0)
                self._outputs.expect(topic, partition, end)

    async def _exit_on_failure(self, work: Any, what: str) -> None:
        try:
            await work
        except BaseException as failure:
            known = isinstance(failure, LoyaltyError)
            self._log.critical(
                "slice failed; nothing of it is committed",
                topic=what,
                error=str(failure),
                exc_info=None if known else failure,
            )
            end_process(failure.exit_code if isinstance(failure, LoyaltyError) else Exit.CRASHED)

    async def _process(self, partition: int, taken: Sequence[Waiting]) -> Sequence[Waiting]:
        """Process slices, without those of topics that stand; returns what is durable."""
        while going := [waiting for waiting in taken if waiting.topic.name not in self._fuses.standing]:
            try:
                await self._process_all(partition, going)
            except Blown as blown:
                await self._fuses.stop(blown)
            else:
                return going
        return []

    async def _process_all(self, partition: int, taken: Sequence[Waiting]) -> None:
        lane = self._lanes.get(partition) or await self._open(partition)
        started = time.perf_counter()
        slices = [
            Slice(topic.name, partition, self._settings.partitions, message.value, self._bases.get(topic.name, 0))
            for topic, message in taken
        ]
        outcome = await process(
            slices,
            self._decoders,
            self._table,
            self._outputs,
            lane.reconciler,
            lane.processed,
            self._fuses.judge,
            self._policy,
            self._suppressions.digests,
        )
        self._delivered(partition, lane, outcome)
        lane.newest_event_ms = max(lane.newest_event_ms, *(seen.newest_event_ms for seen in outcome.seen))
        self._record(slices, outcome, time.perf_counter() - started)

    def _delivered(self, partition: int, lane: PartitionState, outcome: FoldResult) -> None:
        if not lane.reconciler:
            following = self._outputs.next_offset(ALERTS, partition)
            lane.settled = alert_place(self._bases, following) if following else lane.settled
        lane.open.difference_update(outcome.changed)
        lane.open.update(outcome.open)
        for item in outcome.news:
            self._facts.alert_sent(item.alert.transition, item.alert.severity, item.appended_at_ms)

    async def tick(self, now_ms: int) -> None:
        """Look again at the open alerts of every partition for which a new day has begun in event time."""
        for partition in list(self._table.customers.partitions):
            async with self._locks[partition]:
                if self._holding and partition in self._table.customers.partitions:
                    await self._exit_on_failure(self._look_at_time(partition, now_ms), "time")

    async def _look_at_time(self, partition: int, now_ms: int) -> None:
        lane = self._lanes.get(partition) or await self._open(partition)
        day = min(lane.newest_event_ms, now_ms) // DAY_MS * DAY_MS
        if lane.reconciler or day <= lane.looked_at:
            return
        lane.looked_at = day
        for keys in batched(sorted(lane.open), MAX_TICKED):
            if not self._holding:
                return
            outcome = look_at_time(partition, keys, day, self._table, self._policy)
            await deliver(partition, outcome, self._table, self._outputs)
            self._delivered(partition, lane, outcome)
            self._facts.looked_again(len(outcome.changed))

    async def apply_suppressions(self) -> None:
        """See whether somebody was erased, and forget them in every partition."""
        try:
            await asyncio.to_thread(self._suppressions.read)
        except LoyaltyError as failed:
            self._log.warning("the list of erased customers cannot be read; trying again", error=str(failed))
            return
        for partition in list(self._table.customers.partitions):
            lane = self._lanes.get(partition)
            if self._suppressions.passed(partition) > (lane.enforced_until if lane else 0):
                async with self._locks[partition]:
                    if self._holding and partition in self._table.customers.partitions:
                        await self._exit_on_failure(self._forget(partition), "suppressed")

    async def _forget(self, partition: int) -> None:
        """Put the list of erased customers into force in a partition, and only then say so."""
        lane = self._lanes.get(partition) or await self._open(partition)
        until = self._suppressions.passed(partition)
        if until <= lane.enforced_until:
            return
        store = self._table.customers.partition(partition).store
        lane.open.difference_update(await forget(partition, store, self._outputs, self._suppressions.digests))
        lane.enforced_until = until
        await patiently(self._suppressions.in_force, partition, until)

    async def _open(self, partition: int) -> PartitionState:
        lane = self._lanes[partition] = await self._opening.state_of(partition)
        return lane

    def _record(self, slices: Sequence[Slice], outcome: FoldResult, seconds: float) -> None:
        for slice_, seen in zip(slices, outcome.seen, strict=True):
            self._facts.slice_processed(slice_.topic, len(slice_.records), seen, seconds)
            if seen.dead:
                self._facts.events_rejected(slice_.topic, (letter.reason for letter in seen.dead))
        self._facts.customers(self._table.count())


def batched(keys: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Pieces of at most ``size``."""
    remaining = iter(keys)
    while piece := list(islice(remaining, size)):
        yield piece
