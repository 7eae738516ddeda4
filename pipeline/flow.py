"""The whole pipeline on one page. Start reading here.

::

     producers ──▶ purchases ─────┐                       ┌──▶ churn-alerts ─────┐
                   service-contacts├──▶ worker ───────────┼──▶ dead-letters ─────┤
                   surveys ────────┤    (this function)   └──▶ customer-states ──┼──▶ sink ──▶ ClickHouse ──▶ people
                   alert-outcomes ─┘                                             │
                         └──────────────────── raw events ───────────────────────┘

A worker handles one *slice* at a time: consecutive records of one topic partition. The order of its steps is what the
guarantees rest on:

1. decode every record; what cannot be used becomes a dead letter, its neighbours go on
2. fold every event into its customer, in memory
3. effects (alerts, dead letters) are sent and confirmed by the broker
4. changed customers are sent to the state's changelog and confirmed by the broker
5. only then does the slice count as done, and its offsets may be committed

A crash before 4 repeats the slice from the old state and sends the same effects again, under the same ids. A crash
after 4 finds the applied offsets inside the state and folds nothing twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from pipeline.core.alerts import ChurnAlert
from pipeline.core.customer import Customer
from pipeline.core.decode import Decoder
from pipeline.core.fold import Where, step
from pipeline.core.partition import partition_of
from pipeline.errors import BadEvent, Reason


class Record(NamedTuple):
    """A record as it lies in the log."""

    offset: int
    appended_at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Slice(NamedTuple):
    """Consecutive records of one partition of one topic (by its logical name), in ascending order."""

    topic: str
    partition: int
    partitions: int
    records: Sequence[Record]


class DeadLetter(NamedTuple):
    """A record that cannot be used, and why."""

    topic: str
    partition: int
    record: Record
    reason: Reason
    detail: str


class States(Protocol):
    """Where customers are kept: one partition's worth is read and written by one slice at a time."""

    def read(self, partition: int, customer_id: bytes) -> Customer | None: ...

    def write(self, partition: int, changed: Mapping[bytes, Customer]) -> None: ...


class Outputs(Protocol):
    """Where a slice's results go; each call returns when the broker has confirmed everything it was given."""

    async def effects(self, alerts: Sequence[ChurnAlert], dead: Sequence[DeadLetter]) -> None: ...

    async def states(self, partition: int, changed: Mapping[bytes, Customer]) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What a slice came to, in memory, before anything left the process."""

    changed: dict[bytes, Customer] = field(default_factory=dict)
    alerts: list[tuple[ChurnAlert, int]] = field(default_factory=list)
    """Alerts, each with the moment (ms) at which the broker received the event that caused it."""
    dead: list[DeadLetter] = field(default_factory=list)
    folded: int = 0
    duplicates: int = 0
    redelivered: int = 0
    unplanned: int = 0
    newest_event_ms: int = 0


def fold_slice(slice_: Slice, decoder: Decoder, states: States) -> Outcome:
    """Steps 1 and 2: decode and fold, touching nothing outside the returned outcome."""
    outcome = Outcome()
    for record in slice_.records:
        try:
            _apply(record, slice_, decoder, states, outcome)
        except BadEvent as bad:
            outcome.dead.append(DeadLetter(slice_.topic, slice_.partition, record, bad.reason, bad.detail))
    return outcome


def _apply(record: Record, slice_: Slice, decoder: Decoder, states: States, outcome: Outcome) -> None:
    event, unplanned = decoder(record.value, datetime.fromtimestamp(record.appended_at_ms / 1000, UTC))
    key = event.customer_id.encode()
    customer = outcome.changed.get(key) or states.read(slice_.partition, key)
    if customer is None:
        if partition_of(key, slice_.partitions) != slice_.partition:
            raise BadEvent(Reason.WRONG_PARTITION, "the record's partition is not that of $.customer_id (murmur2)")
        customer = Customer(customer_id=event.customer_id)
    result = step(customer, event, Where(slice_.topic, record.offset))
    outcome.unplanned += unplanned
    outcome.duplicates += result.duplicate
    if result.redelivered:
        outcome.redelivered += 1
        return
    outcome.folded += not result.duplicate
    outcome.changed[key] = result.customer
    outcome.alerts.extend((alert, record.appended_at_ms) for alert in result.alerts)
    outcome.newest_event_ms = max(outcome.newest_event_ms, result.customer.last_event_at)


async def process(slice_: Slice, decoder: Decoder, states: States, outputs: Outputs) -> Outcome:
    """Steps 1 to 4 for one slice. The caller holds the partition for itself and does step 5."""
    outcome = fold_slice(slice_, decoder, states)  # 1, 2
    await outputs.effects([alert for alert, _ in outcome.alerts], outcome.dead)  # 3
    await outputs.states(slice_.partition, outcome.changed)  # 4
    states.write(slice_.partition, outcome.changed)
    return outcome  # 5: the caller's
