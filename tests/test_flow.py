"""One slice through the worker's steps: neighbours of bad events, order of effects, crashes between the steps."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.reconciliation import AlertReconciler
from pipeline.errors import Reason, Transient
from pipeline.flow import process
from pipeline.fold_result import FoldResult
from pipeline.records import Record, Slice
from tests.fakes import MemoryStates, RecordingOutputs

AT = 1_780_000_000_000
PARTITIONS = 4


def purchase(number: int, customer: str = "c-1", **more: Any) -> bytes:
    return orjson.dumps(
        {
            "event_id": f"p-{number}",
            "customer_id": customer,
            "occurred_at": "2026-05-01T00:00:00Z",
            "order_id": f"o-{number}",
            "amount": "1.00",
            "currency": "EUR",
        }
        | more
    )


def cancellation(number: int, customer: str = "c-1") -> bytes:
    return orjson.dumps(
        {
            "event_id": f"k-{number}",
            "customer_id": customer,
            "occurred_at": "2026-05-02T00:00:00Z",
            "contact_id": f"k-{number}",
            "issue_id": f"i-{number}",
            "stage": "opened",
            "opened_at": "2026-05-02T00:00:00Z",
            "channel": "phone",
            "kind": "cancellation",
        }
    )


def slice_of(
    values: Sequence[bytes | None], topic: str = "purchases", partition: int | None = None, first: int = 0
) -> Slice:
    where = partition_of(b"c-1", PARTITIONS) if partition is None else partition
    records = [Record(first + n, AT, b"c-1", value, [("trace", b"7")]) for n, value in enumerate(values)]
    return Slice(topic, where, PARTITIONS, records)


def run(slice_: Slice, states: MemoryStates, outputs: RecordingOutputs, kind: Any = "purchase") -> FoldResult:
    return asyncio.run(process([slice_], {slice_.topic: Decoder(kind)}, states, outputs, AlertReconciler(), {}))


def test_effects_are_confirmed_before_states() -> None:
    states, outputs = MemoryStates(), RecordingOutputs()
    run(slice_of([purchase(1), b"broken"]), states, outputs)
    assert outputs.steps == ["effects", "states"]


def test_bad_events_cost_only_themselves() -> None:
    states, outputs = MemoryStates(), RecordingOutputs()
    values = [purchase(1), b"\xff", purchase(2), None, purchase(3, amount=1e308), b"x" * 10_000_000, purchase(4)]
    outcome = run(slice_of(values), states, outputs)
    customer = states.read(partition_of(b"c-1", PARTITIONS), b"c-1")
    assert customer is not None
    assert (customer.purchases, outcome.seen[0].folded) == (3, 3)
    assert [(letter.record.offset, letter.reason) for letter in outputs.dead] == [
        (1, Reason.UNPARSEABLE),
        (3, Reason.EMPTY),
        (4, Reason.OUT_OF_RANGE),
        (5, Reason.TOO_LARGE),
    ]
    assert [letter.record.value for letter in outputs.dead] == [values[n] for n in (1, 3, 4, 5)]


@pytest.mark.parametrize("step", ["effects", "states"])
def test_a_step_that_fails_leaves_the_state_as_it_was_and_the_repeat_counts_once(step: str) -> None:
    states = MemoryStates()
    values = [purchase(1), b"broken", purchase(2)]
    with pytest.raises(Transient):
        run(slice_of(values), states, RecordingOutputs(fail_at=step))
    assert not states.values
    run(slice_of(values), states, RecordingOutputs())
    customer = states.read(partition_of(b"c-1", PARTITIONS), b"c-1")
    assert customer is not None
    assert customer.purchases == 2


def test_a_slice_that_was_stored_but_not_committed_is_a_no_op_when_it_comes_again() -> None:
    states, again = MemoryStates(), RecordingOutputs()
    run(slice_of([purchase(1), purchase(2)]), states, RecordingOutputs())
    before = dict(states.values)
    outcome = run(slice_of([purchase(1), purchase(2)]), states, again)
    assert outcome.seen[0].redelivered == 2
    assert not again.changed
    assert states.values == before


def test_a_repeat_from_the_old_state_sends_the_same_alerts() -> None:
    states = MemoryStates()
    run(slice_of([purchase(1)]), states, RecordingOutputs())
    first, second = RecordingOutputs(fail_at="states"), RecordingOutputs()
    contacts = slice_of([cancellation(1)], topic="service-contacts")
    with pytest.raises(Transient):
        run(contacts, states, first, "service_contact")
    run(contacts, states, second, "service_contact")
    assert first.alerts == second.alerts
    assert len(second.alerts) == 1


def test_a_record_in_a_partition_that_is_not_its_keys_becomes_a_dead_letter() -> None:
    wrong = (partition_of(b"c-1", PARTITIONS) + 1) % PARTITIONS
    for known in (False, True):
        states, outputs = MemoryStates(), RecordingOutputs()
        if known:
            run(slice_of([purchase(0)]), states, RecordingOutputs())
        before = dict(states.values)
        run(slice_of([purchase(1)], partition=wrong, first=7), states, outputs)
        assert [letter.reason for letter in outputs.dead] == [Reason.WRONG_PARTITION]
        assert states.values == before


def test_unknown_fields_are_counted() -> None:
    outcome = run(slice_of([purchase(1, colour="red"), purchase(2)]), MemoryStates(), RecordingOutputs())
    assert (outcome.seen[0].folded, outcome.seen[0].unplanned) == (2, 1)


def others_of(partition: int, count: int) -> list[str]:
    """Customers whose records belong into a partition."""
    names = (f"c-{number}" for number in range(1, 1_000))
    return [name for name in names if partition_of(name.encode(), PARTITIONS) == partition][:count]


def mixed(keys: Mapping[int, bytes | None]) -> tuple[MemoryStates, RecordingOutputs, FoldResult]:
    """Purchases and contacts of three customers, one after the other, and bad ones; ``keys`` of some are not theirs."""
    partition = partition_of(b"c-1", PARTITIONS)
    names = others_of(partition, 3)
    slices = []
    for topic, event in (("purchases", purchase), ("service-contacts", cancellation)):
        records = []
        for number in range(12):
            name = names[number % 3]
            value = b"broken" if number in (4, 5) else event(number, name)
            key = keys.get(number, name.encode())
            records.append(Record(number, AT + number // 5, key, value, ()))
        slices.append(Slice(topic, partition, PARTITIONS, records))
    states, outputs = MemoryStates(), RecordingOutputs()
    decoders = {"purchases": Decoder("purchase"), "service-contacts": Decoder("service_contact")}
    outcome = asyncio.run(process(slices, decoders, states, outputs, AlertReconciler(), {}))
    return states, outputs, outcome


@pytest.mark.parametrize("key", [None, b"", b"an order", b"c-1"])
def test_records_with_other_keys_than_their_customers_come_to_the_same(key: bytes | None) -> None:
    expected, alerted, seen = mixed({})
    for numbers in ([0], [7, 11], range(12)):
        states, outputs, outcome = mixed(dict.fromkeys(numbers, key))
        assert states.values == expected.values
        assert {a.alert_id: a for a in outputs.alerts} == {a.alert_id: a for a in alerted.alerts}
        assert [s.folded for s in outcome.seen] == [s.folded for s in seen.seen] == [10, 10]
        assert [letter.record.offset for letter in outputs.dead] == [4, 5, 4, 5]
    assert len(alerted.alerts) == 10
