"""The slice transport: its ledger, and the methods of Faust it replaces."""

import asyncio
import hashlib
import inspect
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from types import SimpleNamespace

import faust
import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.partitioner import murmur2 as kafkas_murmur2
from aiokafka.record.default_records import _DefaultRecordBatchPy
from faust.tables.recovery import Recovery
from faust.transport import consumer as upstream
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract.partitioner import murmur2
from pipeline.worker.consumer_thread import ConsumerThread
from pipeline.worker.ledger import Ledger
from pipeline.worker.topic_interleaver import Turns
from pipeline.worker.transport import Consumer

ONE, TWO = TP("purchases", 0), TP("purchases", 1)


def test_only_the_finished_prefix_may_be_committed() -> None:
    ledger = Ledger()
    for last in (9, 19, 29):
        ledger.opened(ONE, 0, last)
    ledger.finished(ONE, 19)
    assert ledger.committable(ONE) is None
    ledger.finished(ONE, 9)
    assert ledger.committable(ONE) == 20
    assert ledger.committable(ONE) is None
    ledger.finished(ONE, 29)
    assert ledger.committable(ONE) == 30


def test_partitions_do_not_wait_for_each_other() -> None:
    ledger = Ledger()
    ledger.opened(ONE, 0, 9)
    ledger.opened(TWO, 0, 4)
    ledger.finished(TWO, 4)
    assert (ledger.committable(ONE), ledger.committable(TWO)) == (None, 5)


def test_after_a_seek_an_old_acknowledgement_counts_for_nothing() -> None:
    ledger = Ledger()
    ledger.opened(ONE, 0, 9)
    ledger.forget()
    assert not ledger.finished(ONE, 9)
    assert ledger.committable(ONE) is None


def test_a_slice_that_overtakes_a_dropped_one_is_noticed() -> None:
    ledger = Ledger()
    for last in (9, 19, 29):
        ledger.opened(ONE, 0, last)
    assert ledger.taken(ONE, 9)
    assert ledger.taken(ONE, 19), "a slice may be taken while the one before it is not finished"
    ledger.opened(ONE, 0, 39)
    assert not ledger.taken(ONE, 39)


def test_a_slice_from_before_a_seek_may_be_taken() -> None:
    ledger = Ledger()
    ledger.opened(ONE, 0, 9)
    ledger.forget()
    ledger.opened(ONE, 0, 5)
    assert ledger.taken(ONE, 9)


def test_the_oldest_record_in_flight_gives_the_lag() -> None:
    ledger = Ledger()
    ledger.opened(ONE, 1_000, 9)
    ledger.opened(ONE, 2_000, 19)
    assert ledger.oldest_ms(ONE) == 1_000
    ledger.finished(ONE, 9)
    assert (ledger.oldest_ms(ONE), ledger.position(ONE)) == (2_000, 10)


@given(st.lists(st.integers(1, 20), max_size=20), st.data())
def test_what_may_be_committed_is_always_the_end_of_the_finished_prefix(sizes: list[int], data: st.DataObject) -> None:
    ledger, ends = Ledger(), [sum(sizes[: n + 1]) - 1 for n in range(len(sizes))]
    for end in ends:
        ledger.opened(ONE, 0, end)
    committed, done = 0, set[int]()
    for end in data.draw(st.permutations(ends)):
        ledger.finished(ONE, end)
        done.add(end)
        committed = ledger.committable(ONE) or committed
        prefix = next((n for n, e in enumerate(ends) if e not in done), len(ends))
        assert committed == (ends[prefix - 1] + 1 if prefix else 0)


REPLACED = {
    "getmany": (upstream.Consumer.getmany, "4b168d84882a70d6"),
    "ack": (upstream.Consumer.ack, "5fcf41cf45153475"),
    "_new_offset": (upstream.Consumer._new_offset, "1d2c7ea89a7ad4f1"),
    "_filter_tps_with_pending_acks": (upstream.Consumer._filter_tps_with_pending_acks, "f6f9239774234e7e"),
    "_add_gap": (upstream.Consumer._add_gap, "4df2573ded7c1c2c"),
    "perform_seek": (upstream.Consumer.perform_seek, "0e8c130ff4b0afd8"),
    "seek_wait": (upstream.ThreadDelegateConsumer.seek_wait, "e9db5bbc4ceb2543"),
    "_seek_offsets": (Recovery._seek_offsets, "19598ca63d94d250"),
    "on_partitions_revoked": (upstream.Consumer.on_partitions_revoked, "d04b7ae72c6fc206"),
    "_drain_messages": (upstream.Consumer._drain_messages, "44a2500309e83c63"),
    "_commit_offsets": (upstream.Consumer._commit_offsets, "1a69799041188441"),
    "verify_event_path": (driver.AIOKafkaConsumerThread.verify_event_path, "b983e7735f647cb3"),
    "verify_recovery_event_path": (driver.AIOKafkaConsumerThread.verify_recovery_event_path, "8c26b3ec3856396a"),
    "_fetch_records": (driver.AIOKafkaConsumerThread._fetch_records, "39a2c6c79fc1455a"),
    "_new_consumer_thread": (driver.Consumer._new_consumer_thread, "0870ec53dea75083"),
    "_to_message": (driver.Consumer._to_message, "7c24f6511b2fcef7"),
    "_unpack_records": (fetcher.PartitionRecords._unpack_records, "b803e6d46480732c"),
    "_consumer_record": (fetcher.PartitionRecords._consumer_record, "e668541600b047ab"),
    "fetch_committed_offsets": (GroupCoordinator.fetch_committed_offsets, "6c049c7379165952"),
    "_do_fetch_commit_offsets": (GroupCoordinator._do_fetch_commit_offsets, "b0f3598132715552"),
    "_read_msg": (_DefaultRecordBatchPy._read_msg, "0997ab7a58505c93"),
    "_resume_streams": (Recovery._resume_streams, "d986a6710c1aca98"),
    "_compile_decode": (faust.Topic._compile_decode, "6474178f8c211c05"),
    "_py_aiter": (faust.Stream._py_aiter, "3a48ee257a65435b"),
}


@pytest.mark.parametrize("name", REPLACED)
def test_what_we_replace_or_rest_on_in_faust_and_aiokafka_is_what_we_read(name: str) -> None:
    """When this fails, one of them changed: read the method again, then the module, then the fault tests."""
    method, digest = REPLACED[name]
    source = inspect.getsource(inspect.unwrap(method))
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digest


def test_faust_is_the_version_that_was_read() -> None:
    assert version("faust-streaming") == "0.15.3"


@given(st.binary(max_size=64))
def test_our_partitioner_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == kafkas_murmur2(key) & 0xFFFFFFFF


class Sought(Consumer):
    """Our consumer without a broker: it remembers where it was sought."""

    def __init__(self, assigned: set[TP], committed: dict[TP, int]) -> None:
        self.ledger, self.turns = Ledger(), Turns()
        self._seeks = self._revocations = 0
        self._next = {}
        self._fetch_or_seek = asyncio.Lock()
        self._read_offset: dict[TP, int | None] = {}
        self._committed_offset: defaultdict[TP, int | None] = defaultdict(lambda: None)
        self.assigned, self.committed, self.sought = assigned, committed, dict[TP, int]()
        self._thread = SimpleNamespace(seek_wait=self._seek_there)

    def assignment(self) -> set[TP]:
        return self.assigned

    def stop_flow(self) -> None:
        pass

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic == "customer-states")

    async def seek_to_committed(self) -> dict[TP, int]:
        """As aiokafka does it: only where something was committed."""
        return dict(self.committed)

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 17)

    async def _seek_there(self, places: dict[TP, int]) -> None:
        self.sought.update(places)


def test_a_seek_covers_partitions_for_which_nothing_was_committed() -> None:
    states = TP("customer-states", 0)
    consumer = Sought({ONE, TWO, states}, {ONE: 40})
    asyncio.run(consumer.perform_seek())
    assert consumer.sought == {TWO: 17}


class Committing(Sought):
    """Our consumer whose commits succeed or fail as it is told; ``meanwhile`` happens while one is on its way."""

    in_transaction = False

    def __init__(self, answers: list[bool], meanwhile: Callable[["Committing"], None] = lambda _consumer: None) -> None:
        super().__init__({ONE, TWO}, {})
        self.asked: list[dict[TP, int]] = []
        self._answers, self._meanwhile = iter(answers), meanwhile
        self._thread = SimpleNamespace(commit=self._answered, seek_wait=self._seek_there)
        self.log = SimpleNamespace(dev=lambda *_: None)
        self.app = SimpleNamespace(
            consumer_generation_id=1,
            producer=SimpleNamespace(flush=self._nothing),
            tables=SimpleNamespace(on_commit=lambda _offsets: None),
            monitor=SimpleNamespace(on_tp_commit=lambda _offsets: None),
            _attachments=SimpleNamespace(publish_for_tp_offset=self._nothing),
        )

    async def _nothing(self, *_: object) -> None:
        pass

    async def _answered(self, offsets: dict[TP, int]) -> bool:
        self.asked.append(dict(offsets))
        if len(self.asked) == 1:
            self._meanwhile(self)
        return next(self._answers)

    def finish(self, tp: TP, *last_offsets: int) -> None:
        """Slices of a partition are handed out and finished."""
        for last in last_offsets:
            self.ledger.opened(tp, 0, last)
            self.ledger.finished(tp, last)

    async def commit_all(self, times: int) -> list[dict[TP, int]]:
        """Commit what is due, as Faust does twice a second; what the broker was asked."""
        for _ in range(times):
            await self._commit_tps([ONE, TWO], False)
        return self.asked


def test_a_failed_commit_is_due_again_and_then_no_more() -> None:
    consumer = Committing([False, True])
    consumer.finish(ONE, 9, 19)
    consumer.finish(TWO, 4)
    assert asyncio.run(consumer.commit_all(3)) == [{ONE: 20, TWO: 5}] * 2


def test_a_failed_commit_that_is_repeated_covers_what_finished_meanwhile() -> None:
    consumer = Committing([False, True], lambda consumer: consumer.finish(ONE, 29, 39))
    consumer.finish(ONE, 19)
    assert asyncio.run(consumer.commit_all(3)) == [{ONE: 20}, {ONE: 40}]


def test_a_commit_that_fails_again_and_again_never_falls_back() -> None:
    consumer = Committing([False, False, True, True], lambda consumer: consumer.finish(ONE, 29))
    consumer.finish(ONE, 19)
    asked = asyncio.run(consumer.commit_all(3))
    consumer.finish(ONE, 39)
    assert asked == [{ONE: 20}, {ONE: 30}, {ONE: 30}]
    assert asyncio.run(consumer.commit_all(1))[-1] == {ONE: 40}


def test_a_commit_that_fails_because_partitions_were_given_out_anew_is_not_repeated() -> None:
    """They may be somebody else's, who is further."""

    def rebalanced(consumer: Committing) -> None:
        consumer.app.consumer_generation_id += 1
        consumer.ledger.forget()

    consumer = Committing([False, True], rebalanced)
    consumer.finish(ONE, 19)
    assert asyncio.run(consumer.commit_all(2)) == [{ONE: 20}]


def test_a_seek_covers_partitions_whose_first_commit_failed() -> None:
    """Faust counts it as committed; for the broker there is nothing to go back to."""

    async def failed_and_sought(consumer: Committing) -> dict[TP, int]:
        await consumer.commit_all(1)
        await consumer.perform_seek()
        return consumer.sought

    consumer = Committing([False])
    consumer.finish(ONE, 19)
    assert asyncio.run(failed_and_sought(consumer)) == {ONE: 17, TWO: 17}


def test_what_is_fetched_while_partitions_are_given_up_is_not_kept_for_later() -> None:
    """Kept, it would be handed out when the partition comes back, before the seek and before its state is there."""

    class Fetching(Sought):
        flow_active, should_stop = True, False
        app = SimpleNamespace(consumer_generation_id=1)
        during_fetch = 0

        async def _wait_next_records(self, timeout: float) -> tuple[dict[TP, list[SimpleNamespace]], None]:
            self._revocations += self.during_fetch
            return {ONE: [SimpleNamespace(offset=7, timestamp=1)]}, None

        def _messages(self, records: object) -> Iterator[tuple[TP, ConsumerMessage]]:
            return iter(())

    async def kept(revocations: int) -> list[TP]:
        consumer = Fetching({ONE}, {})
        consumer.during_fetch = revocations
        async for _ in consumer.getmany(1.0):
            pass
        return [tp for tp, held in consumer.turns._held.items() if held]

    for revocations, expected in ((0, [ONE]), (1, [])):
        assert asyncio.run(kept(revocations)) == expected


def test_a_recovery_seeks_when_the_fetch_of_before_is_over_so_that_nothing_behind_the_seek_is_thrown_away() -> None:
    """The fetch is thrown away because partitions were given up during it; what the seek goes to must not be in it."""
    states = TP("customer-states", 0)

    class Fetching(Sought):
        flow_active, should_stop = True, False
        app = SimpleNamespace(consumer_generation_id=1)

        async def _wait_next_records(self, timeout: float) -> tuple[dict[TP, list[SimpleNamespace]], None]:
            self.began.set()
            await self.records_come.wait()
            assert not self.sought
            return {states: [SimpleNamespace(offset=7, timestamp=1)]}, None

    async def recovered() -> None:
        consumer = Fetching({ONE, states}, {})
        consumer.began, consumer.records_come = asyncio.Event(), asyncio.Event()

        async def handed_out() -> list[TP]:
            return [tp async for tp, _ in consumer.getmany(1.0)]

        fetching = asyncio.create_task(handed_out())
        await consumer.began.wait()
        consumer._revocations += 1
        seeking = asyncio.create_task(consumer.seek_wait({states: 3}))
        await asyncio.sleep(0)
        consumer.records_come.set()
        assert await fetching == []
        await seeking
        assert consumer.sought == {states: 3}

    asyncio.run(recovered())


class Quiet(ConsumerThread):
    """Our consumer thread without a broker: it remembers what it said."""

    def __init__(self, ledger: Ledger) -> None:
        self.said: list[str] = []
        self.consumer = SimpleNamespace(ledger=ledger)
        self.log = SimpleNamespace(error=lambda text, *more: self.said.append(text % more))


def test_an_idle_worker_is_no_alarm_and_one_whose_slices_wait_is() -> None:
    """Faust would say after five quiet minutes that nothing was committed, and ask to report it as a bug."""
    ledger = Ledger()
    thread = Quiet(ledger)
    hour_later = time.monotonic() + 3_600
    thread.verify_event_path(hour_later, ONE)
    thread.verify_recovery_event_path(hour_later, ONE)
    ledger.opened(ONE, 0, 9)
    thread.verify_event_path(time.monotonic() + 1, ONE)
    assert thread.said == []
    thread.verify_event_path(hour_later, ONE)
    assert len(thread.said) == 1
    assert "is not durable yet" in thread.said[0]
    ledger.finished(ONE, 9)
    thread.verify_event_path(hour_later, ONE)
    assert len(thread.said) == 1
