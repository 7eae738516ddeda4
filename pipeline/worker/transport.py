"""A Faust transport that hands an agent a *slice* of records as one message.

Faust's own path costs four asyncio tasks per record. Here the records one fetch brought for a partition travel through
Faust as one message whose value is the list; agents stay ``async for slice_ in stream``. Registered as ``slices://``
through the ``faust.transports`` entry point.

Rules
-----
- A message stands for its whole slice: its offset is the last record's.
- An agent hands its slices on and takes the next; Faust's acknowledgement, which comes then, and also when an agent
  fails, means nothing here. A slice is done when the application says ``finished``.
- The ledger keeps slices per partition in fetch order; what may be committed is the end of the finished prefix. Faust's
  own offset tracker works record by record and is not used for these topics.
- What was fetched while partitions were being given up is dropped: the seek that follows goes back behind it.
- A message carries the consumer's generation; what is finished of an earlier generation counts for nothing.
- A seek goes back in every partition: aiokafka leaves those alone for which nothing was committed yet.
- Slices of a partition are handed out in the order of their offsets, none left out. Faust seeks back to the committed
  offsets and clears its queues when recovery ends and after a rebalance. So a seek and a fetch exclude each other: what
  was fetched before a seek is not handed out after it (it would overtake what was cleared), and what is fetched after
  it is never thrown away (nothing would bring it back: a recovery would wait for it for ever). The flow stays stopped
  from the seek until Faust has cleared its queues. ``Ledger.taken`` lets the agent check.
- Records of a changelog travel as slices too, so that recovery takes them by the thousand.
- What is fetched follows what was fetched before. Where the next record is not there any more, because it left the
  topic or the topic is another one, aiokafka goes on with the first there is; the process ends instead.
- A commit carries, as metadata, what the application knows at that moment (``app.commit_note``).

Each override replaces a method of Faust 0.15.3; ``tests/worker/test_transport.py`` fails when one of them changes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

import faust
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from pipeline.worker.commits import Commit
from pipeline.worker.consumer_thread import ConsumerThread
from pipeline.worker.ledger import Ledger
from pipeline.worker.topic_interleaver import Turns

FETCH_SECONDS = 0.25
"""How long a fetch waits for records, and so the longest a seek waits for a fetch."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's aiokafka consumer, with slices."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger = Ledger()
        self.turns = Turns()
        self._seeks = self._revocations = 0
        self._next: dict[TP, int] = {}
        self._fetch_or_seek = asyncio.Lock()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def commits(self, places: Iterable[TP]) -> dict[TP, Commit]:
        """As :meth:`ConsumerThread.commits`."""
        return self._thread.commits(places)  # type: ignore[no-any-return]

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch, and yield one message per slice, partition by partition."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        async with self._fetch_or_seek:
            if not self.flow_active or self.should_stop:
                return
            seeks, generation = self._seeks, self.app.consumer_generation_id
            revocations = self._revocations
            records, _ = await self._wait_next_records(min(timeout, FETCH_SECONDS))
            if self._revocations != revocations:
                return  # a seek will follow; what is kept until then would be handed out in front of it
            for tp, fetched in (records or {}).items():
                if not self._is_changelog_tp(tp):
                    await self._check_follows(tp, fetched[0].offset)
                    self._next[tp] = fetched[-1].offset + 1
                    self.turns.add(tp, fetched)
        for tp, message in self._messages(records or {}):
            if not self.flow_active or self._seeks != seeks or self.app.consumer_generation_id != generation:
                break  # a seek follows, or has been: these records will be fetched again
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if not self._is_changelog_tp(tp):
                self.ledger.opened(tp, message.value[0].timestamp, message.offset)
            yield tp, message

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        """Leave those alone that stand; what was fetched of them before is not handed out."""
        going = {tp for tp in active_partitions or () if not self.app.stands(tp)}
        if going or not active_partitions:
            return await super()._getmany(going, timeout)
        await self.sleep(timeout)
        return {}

    async def _check_follows(self, tp: TP, offset: int) -> None:
        """Records follow those before them, but for markers of transactions; where they do not, the process ends.

        aiokafka goes to the first record by itself where the next one is not there (any more).
        """
        expected = self._next.get(tp)
        if expected is None or offset == expected:
            return
        first = (await self.earliest_offsets(tp))[tp] or 0
        if offset < expected or first > expected:
            self.app.records_are_gone(tp, expected, first)

    def _messages(self, records: dict[TP, list[Any]]) -> Iterator[tuple[TP, ConsumerMessage]]:
        for tp, fetched in records.items():
            if self._is_changelog_tp(tp):
                yield tp, self._slice_message(tp, fetched)
        inputs = [tp for tp in self.assignment() if not self._is_changelog_tp(tp) and not self.app.stands(tp)]
        for tp, slice_ in self.turns.take(inputs, self._has_more, time.monotonic()):
            yield tp, self._slice_message(tp, slice_)

    def _has_more(self, tp: TP) -> bool:
        """Whether the broker has records behind those that were fetched; also when that is not known yet."""
        assignment = self._thread._ensure_consumer()._subscription.subscription.assignment
        state = assignment.state_value(TopicPartition(tp.topic, tp.partition)) if assignment is not None else None
        if state is None or state.highwater is None or not state.has_valid_position:
            return True
        return bool(state.position < state.highwater)

    def _slice_message(self, tp: TP, slice_: list[Any]) -> ConsumerMessage:
        last = slice_[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            [],
            None,
            slice_,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Any) -> bool:
        """Faust's: an agent let go of a slice, which is not done for that; a changelog's slice is."""
        return self._is_changelog_tp(message.tp) and self.finished(message)

    def is_current(self, message: Any) -> bool:
        """Whether a slice was fetched since the partitions were given out last."""
        return bool(message.generation_id == self.app.consumer_generation_id)

    def finished(self, message: Any, durable: bool = True) -> bool:
        """Nothing more happens with a slice. Unless what it came to is ``durable`` it will be read again."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        is_done = durable and self.is_current(message) and self.ledger.finished(message.tp, message.offset)
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return is_done

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self.ledger.partitions() if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self.ledger.committable(tp)

    def _should_commit(self, tp: TP, offset: int | None) -> bool:
        return offset is not None  # the ledger gives an offset away once

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        generation = self.app.consumer_generation_id
        is_committed: bool = await super()._commit(offsets)
        if not is_committed and generation == self.app.consumer_generation_id:
            for tp, offset in offsets.items():
                self.ledger.not_committed(tp, offset)
        return is_committed

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A slice's offset jumps by its length; that is no gap."""

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; slices in flight will be read again."""
        self.stop_flow()
        async with self._fetch_or_seek:
            self._seeks += 1
            self.ledger.forget()
            self.turns.clear()
            self._committed_offset.clear()  # Faust notes there what it tried to commit, also when that failed
            await super().perform_seek()
            await self._seek_uncommitted_to_beginning()
            self._next = {tp: offset for tp, offset in self._committed_offset.items() if offset is not None}

    async def _seek_uncommitted_to_beginning(self) -> None:
        """aiokafka goes back only where something was committed; elsewhere it would go on behind what it fetched."""
        places = [tp for tp in self.assignment() if not self._is_changelog_tp(tp) and not self._committed_offset[tp]]
        if places:
            first = await self.earliest_offsets(*places)
            await super().seek_wait({tp: first[tp] or 0 for tp in places})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Go to where the recovery of a changelog begins."""
        async with self._fetch_or_seek:  # a fetch from before the rebalance is thrown away: it must not go on behind it
            self._seeks += 1
            await super().seek_wait(partitions)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Give partitions up."""
        self._revocations += 1
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self.ledger.forget(tp)
            self.turns.clear(tp)
            self._next.pop(tp, None)


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with our consumer."""

    Consumer = Consumer


class SliceTopic(faust.Topic):  # type: ignore[misc]
    """A topic whose messages may be slices: their value needs no decoding by Faust."""

    def _compile_decode(self) -> None:
        super()._compile_decode()
        decode_one: Any = self.__dict__["decode"]

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            if isinstance(message.value, list):
                return self._create_event(None, message.value, None, message)
            return await decode_one(message, propagate=propagate)

        self.decode = decode


class SliceStream(faust.Stream):  # type: ignore[misc]
    """A stream that iterates in Python: Faust's compiled iterator writes into its own offset tracker directly."""

    def __aiter__(self) -> AsyncIterator[Any]:
        iterator = self._py_aiter()
        self._active_agens.add(iterator)
        return iterator  # type: ignore[no-any-return]
