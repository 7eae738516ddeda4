"""The whole pipeline on one page. Start reading here.

::

     producers ──▶ purchases ─────┐                       ┌──▶ churn-alerts ─────┐
                   service-contacts├──▶ worker ───────────┼──▶ dead-letters ─────┤
                   surveys ────────┤    (this function)   └──▶ customer-states ──┼──▶ sink ──▶ ClickHouse ──▶ people
                   alert-outcomes ─┘                                             │
                         └──────────────────── raw events ───────────────────────┘

A worker handles the *slices* of a partition that have arrived, together: a slice is consecutive records of one topic.
The order of the steps is what the guarantees rest on:

1. decode every record; what cannot be used becomes a dead letter, its neighbours go on
2. fold every event into its customer, in memory; then look once at every customer whose risk they can have changed.
   News about a customer waits while the log of alerts is ahead of the state (:mod:`pipeline.core.told`).
   What names a customer who was erased is dropped: no state, no alert, no dead letter
3. effects (alerts, dead letters) are sent and confirmed by the broker
4. changed customers are sent to the state's changelog and confirmed by the broker
5. only then do the slices count as done, and their offsets may be committed

A crash before 4 repeats them from the old state and sends the same effects again, under the same ids. A crash
after 4 finds the applied offsets inside the state and folds nothing twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from pipeline.core.affected import Affected
from pipeline.core.customer import Customer, encode_state
from pipeline.core.decode import Decoder
from pipeline.core.fold import apply, look_again, tick
from pipeline.core.messages import ChurnAlert
from pipeline.core.partition import partition_of
from pipeline.core.risk import PRIORS, RiskPolicy
from pipeline.core.suppression import Suppressed, digest_of, names_suppressed, without_referral
from pipeline.core.told import Told
from pipeline.errors import BadEvent, Reason

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Headers = Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    """A record as it lies in the log."""

    offset: int
    appended_at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def timestamp(self) -> int:
        """The name that clients give to ``appended_at_ms``."""
        return self.appended_at_ms


class Arrived(Protocol):
    """A record as a consumer hands it over."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Slice(NamedTuple):
    """Consecutive records of one partition of one topic (by its logical name), in ascending order."""

    topic: str
    partition: int
    partitions: int
    records: Sequence[Arrived]


class DeadLetter(NamedTuple):
    """A record that cannot be used, and why."""

    topic: str
    partition: int
    record: Record
    reason: Reason
    detail: str


class News(NamedTuple):
    """A message to the desk."""

    alert: ChurnAlert
    applied: Mapping[str, int]
    """The last offset of each topic that was applied to the customer when it was told."""
    appended_at_ms: int | None
    """When the broker received the record that led to it; ``None``: time alone did."""


class States(Protocol):
    """Where customers are kept: one partition's worth is read and written by one slice at a time."""

    def read(self, partition: int, customer_id: bytes) -> Customer | None:
        """A customer, as an object of the caller's own."""
        ...

    def write(self, partition: int, values: Mapping[bytes, bytes], last: int) -> None:
        """Show customers whose encoded ``values`` are in the changelog, the last of them at the offset ``last``."""


class Outputs(Protocol):
    """Where results go; each call returns when the broker has confirmed everything it was given."""

    async def effects(self, partition: int, news: Sequence[News], dead: Sequence[DeadLetter]) -> None: ...

    async def states(self, partition: int, values: Mapping[bytes, bytes]) -> int:
        """Send values to the changelog; returns the offset of the last."""
        ...


@dataclass(slots=True)
class Seen:
    """What became of the records of one slice."""

    folded: int = 0
    duplicates: int = 0
    redelivered: int = 0
    unplanned: int = 0
    suppressed: int = 0
    """Records that name a customer who was erased."""
    newest_event_ms: int = 0
    dead: list[DeadLetter] = field(default_factory=list)


class Concern(NamedTuple):
    """Why a customer has to be looked at again."""

    affected: Affected
    cause: str
    """The last event that can have changed the customer's risk."""
    appended_at_ms: int
    """When the broker received it."""


@dataclass(slots=True)
class Outcome:
    """What slices of a partition came to, in memory, before anything left the process."""

    changed: dict[bytes, Customer] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    """Of each slice."""
    concerned: dict[bytes, Concern] = field(default_factory=dict)

    @property
    def dead(self) -> list[DeadLetter]:
        """What cannot be used, of all slices."""
        return [letter for seen in self.seen for letter in seen.dead]


def fold(
    slices: Sequence[Slice],
    decoders: Mapping[str, Decoder],
    states: States,
    told: Told,
    processed: dict[str, int],
    policy: RiskPolicy = PRIORS,
    suppressed: Suppressed = frozenset(),
) -> Outcome:
    """Steps 1 and 2: touch nothing outside the returned outcome but ``told`` and ``processed``.

    ``slices`` are of one partition, those of a topic in order. ``processed`` holds the last offset processed of each
    topic of the partition.
    """
    outcome = Outcome()
    for slice_ in slices:
        outcome.seen.append(_fold_slice(slice_, decoders[slice_.topic], states, outcome, suppressed))
        processed[slice_.topic] = slice_.records[-1].offset
    for key, concern in outcome.concerned.items():
        after = outcome.changed[key]
        known = after.alerts
        news = look_again(after, concern.affected, concern.cause, policy)
        if news and not told.holds(key, known):
            outcome.news.extend(News(alert, after.applied, concern.appended_at_ms) for alert in news)
    if told:
        _settle(slices[-1], states, told, processed, policy, outcome)
    return outcome


def look_at_time(
    partition: int, keys: Iterable[bytes], at: int, states: States, policy: RiskPolicy = PRIORS
) -> Outcome:
    """Step 2 without an event: customers with open alerts, looked at again because time has passed until ``at``."""
    outcome = Outcome()
    for key in keys:
        try:
            before = states.read(partition, key)
        except BadEvent:
            continue  # its events become dead letters; an alert cannot be looked at without its state
        if before is None:
            continue
        done = tick(before, at, policy)
        if done.customer is not before:
            outcome.changed[key] = done.customer
            outcome.news.extend(News(alert, done.customer.applied, None) for alert in done.alerts)
    return outcome


def _fold_slice(slice_: Slice, decoder: Decoder, states: States, outcome: Outcome, suppressed: Suppressed) -> Seen:
    """Decode and fold the records of a slice, each into its customer; nothing is looked at yet."""
    seen, topic = Seen(), slice_.topic
    changed, concerned = outcome.changed, outcome.concerned
    redeliveries = duplicates = newest = 0
    appended_at_ms, appended_at = -1, EPOCH
    for record in slice_.records:
        if record.timestamp != appended_at_ms:  # records of one batch share it
            appended_at_ms = record.timestamp
            appended_at = datetime.fromtimestamp(appended_at_ms / 1000, UTC)
        try:
            event, unplanned = decoder.read(record.value, appended_at)
            key = event.customer_id.encode()
            if suppressed:
                if digest_of(key) in suppressed:
                    seen.suppressed += 1
                    continue
                event = without_referral(event, suppressed)
            customer = changed.get(key) or _customer(slice_, key, event.customer_id, states)
            customer, affected, redelivered, duplicate = apply(customer, event, topic, record.offset)
        except BadEvent as bad:
            if names_suppressed(record.key, record.value, suppressed):
                seen.suppressed += 1
                continue
            kept = Record(record.offset, record.timestamp, record.key, record.value, record.headers)
            seen.dead.append(DeadLetter(topic, slice_.partition, kept, bad.reason, bad.detail))
            continue
        if unplanned:
            seen.unplanned += 1
        if redelivered:
            redeliveries += 1
            continue
        if duplicate:
            duplicates += 1
        changed[key] = customer
        newest = max(newest, customer.last_event_at)
        if not affected.nothing:
            known = concerned.get(key)
            both = affected if known is None else known.affected.merged(affected)
            concerned[key] = Concern(both, event.event_id, appended_at_ms)
    seen.redelivered, seen.duplicates, seen.newest_event_ms = redeliveries, duplicates, newest
    seen.folded = len(slice_.records) - len(seen.dead) - seen.suppressed - redeliveries - duplicates
    return seen


def _customer(slice_: Slice, key: bytes, customer_id: str, states: States) -> Customer:
    """A customer as the state has them, or a new one whose records do belong here."""
    customer = states.read(slice_.partition, key)
    if customer is None:
        if partition_of(key, slice_.partitions) != slice_.partition:
            raise BadEvent(Reason.WRONG_PARTITION, "the record's partition is not that of $.customer_id (murmur2)")
        customer = Customer(customer_id=customer_id)
    return customer


def _settle(
    slice_: Slice, states: States, told: Told, processed: dict[str, int], policy: RiskPolicy, outcome: Outcome
) -> None:
    """Let go of the customers whose state has caught up with what the desk was told."""
    last = slice_.records[-1]
    for key in told.due(processed):
        customer, alerts = told.settle(key, outcome.changed.get(key) or states.read(slice_.partition, key), policy)
        if customer is not None:
            outcome.changed[key] = customer
            outcome.news.extend(News(alert, customer.applied, last.timestamp) for alert in alerts)


async def process(
    slices: Sequence[Slice],
    decoders: Mapping[str, Decoder],
    states: States,
    outputs: Outputs,
    told: Told,
    processed: dict[str, int],
    accept: Callable[[Slice, Seen], None] = lambda _slice, _seen: None,
    policy: RiskPolicy = PRIORS,
    suppressed: Suppressed = frozenset(),
) -> Outcome:
    """Steps 1 to 4 for slices of one partition. The caller holds the partition for itself and does step 5.

    ``accept`` may refuse what a slice came to by raising, before anything left the process.
    """
    partition = slices[0].partition
    outcome = fold(slices, decoders, states, told, processed, policy, suppressed)  # 1, 2
    for slice_, seen in zip(slices, outcome.seen, strict=True):
        accept(slice_, seen)
    await deliver(partition, outcome, states, outputs)  # 3, 4
    return outcome  # 5: the caller's


async def deliver(partition: int, outcome: Outcome, states: States, outputs: Outputs) -> None:
    """Steps 3 and 4."""
    dead = outcome.dead
    if outcome.news or dead:
        await outputs.effects(partition, outcome.news, dead)  # 3
    if outcome.changed:
        values = {key: encode_state(customer) for key, customer in outcome.changed.items()}
        last = await outputs.states(partition, values)  # 4
        states.write(partition, values, last)
