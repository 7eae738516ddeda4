"""One slice with events of an erased customer in it: no state, no alert, no dead letter, and nothing else changes."""

import asyncio
from typing import Any

import pytest

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.state.suppression import digest_of
from pipeline.flow import process
from pipeline.fold_result import FoldResult
from pipeline.records import Record, Slice
from tests.fakes import MemoryStates, RecordingOutputs
from tests.test_flow import PARTITIONS, cancellation, purchase, slice_of
from tests.written import ALL, NAME, NUMBER, OTHERS, Written

HOME = partition_of(b"c-1", PARTITIONS)
OTHER = next(f"o-{n}" for n in range(99) if partition_of(f"o-{n}".encode(), PARTITIONS) == HOME)
GONE = {digest_of(b"c-1")}


def run(slice_: Slice, states: MemoryStates, outputs: RecordingOutputs, suppressed: Any = GONE) -> FoldResult:
    kind: Any = "service_contact" if slice_.topic == "service-contacts" else "purchase"
    decoders = {slice_.topic: Decoder(kind)}
    return asyncio.run(process([slice_], decoders, states, outputs, AlertReconciler(), {}, suppressed=suppressed))


def test_events_of_an_erased_customer_leave_no_trace_and_those_of_others_count() -> None:
    states, outputs = MemoryStates(), RecordingOutputs()
    outcome = run(slice_of([purchase(1), purchase(2, OTHER), purchase(3)]), states, outputs)
    assert list(outputs.changed) == [OTHER.encode()]
    assert (outcome.seen[0].suppressed, outcome.seen[0].folded) == (2, 1)
    alone = RecordingOutputs()
    run(slice_of([purchase(2, OTHER)], first=1), MemoryStates(), alone, frozenset())
    assert outputs.changed == alone.changed


@pytest.mark.parametrize(
    "slice_",
    [
        slice_of([b"broken"]),
        slice_of([purchase(1, amount="much")]),
        slice_of([purchase(1)], partition=(HOME + 1) % PARTITIONS),
        slice_of([cancellation(1)], topic="service-contacts"),
    ],
    ids=["under their key", "in its bytes", "in a wrong partition", "that would raise an alert"],
)
def test_nothing_of_an_erased_customer_is_sent_to_anybody(slice_: Slice) -> None:
    states = MemoryStates()
    run(slice_of([purchase(0)], first=1_000), states, RecordingOutputs(), frozenset())
    sent, kept = RecordingOutputs(), RecordingOutputs()
    run(slice_, states, sent, frozenset())
    assert sent.steps
    run(slice_, states, kept)
    assert not kept.steps


@pytest.mark.parametrize(("customer", "record"), [(c, r) for c, _, r in ALL], ids=[way for _, way, _ in ALL])
def test_a_record_that_names_an_erased_customer_in_any_way_is_no_dead_letter(customer: str, record: Written) -> None:
    slice_ = Slice("purchases", HOME, PARTITIONS, [Record(7, 0, *record)])
    states, sent, kept = MemoryStates(), RecordingOutputs(), RecordingOutputs()
    run(slice_, states, sent, GONE)
    assert sent.steps
    assert run(slice_, states, kept, {digest_of(customer.encode())}).seen[0].suppressed == 1
    assert not kept.steps


@pytest.mark.parametrize("record", OTHERS.values(), ids=OTHERS)
def test_a_dead_letter_of_somebody_else_stays_one(record: Written) -> None:
    outputs = RecordingOutputs()
    slice_ = Slice("purchases", HOME, PARTITIONS, [Record(7, 0, *record)])
    run(slice_, MemoryStates(), outputs, {digest_of(name.encode()) for name in (NUMBER, NAME)})
    assert outputs.steps


def test_what_another_customer_says_of_an_erased_one_is_dropped_and_the_rest_is_kept() -> None:
    said, unsaid = RecordingOutputs(), RecordingOutputs()
    run(slice_of([purchase(1, OTHER, referred_by="c-1")]), MemoryStates(), said)
    run(slice_of([purchase(1, OTHER)]), MemoryStates(), unsaid)
    assert said.changed == unsaid.changed
    kept = RecordingOutputs()
    run(slice_of([purchase(1, OTHER, referred_by="c-2")]), MemoryStates(), kept)
    assert kept.changed != unsaid.changed
