"""Steps 1 and 2 of :mod:`pipeline.flow`: slices of a partition, folded into its customers, in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.fold import apply, look_again, tick
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.risk.changed_issues import merged
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.state.customer import AlertState, Customer, decode_state
from pipeline.core.state.marks import Older
from pipeline.core.state.suppression import Suppressed, digest_of, names_suppressed, without_referral
from pipeline.errors import BadEvent, Reason
from pipeline.fold_result import FoldResult, States
from pipeline.records import Accept, AlertUpdate, Arrived, DeadLetter, Record, Slice, SliceStats


def fold(
    slices: Sequence[Slice],
    decoders: Mapping[str, Decoder],
    states: States,
    reconciler: AlertReconciler,
    processed: dict[str, int],
    policy: RiskPolicy = PRIORS,
    suppressed: Suppressed = frozenset(),
    accept: Accept = lambda _slices, _seen: None,
) -> FoldResult:
    """Steps 1 and 2: touch nothing outside the returned result but ``reconciler`` and ``processed``.

    ``slices`` are of one partition, those of a topic in order. ``processed`` holds the last offset processed of each
    topic of the partition. ``accept`` may refuse the result by raising, before anything was touched.
    """
    folding = Folding(slices, decoders, states, policy, suppressed)
    try:
        result = folding.run(folding.by_key())
    except KeyMismatch:
        result = folding.run(folding.by_customer())
    accept(slices, result.seen)
    for update in folding.news:
        if not reconciler.holds(update.key, update.known):
            result.news.extend(update.news)
    for slice_ in slices:
        processed[slice_.topic] = slice_.last
    if reconciler:
        _settle(slices[-1], states, reconciler, processed, policy, result)
    return result


def look_at_time(
    partition: int, keys: Iterable[bytes], at: int, states: States, policy: RiskPolicy = PRIORS
) -> FoldResult:
    """Step 2 without an event: customers with open alerts, looked at again because time has passed until ``at``."""
    result = FoldResult()
    for key in keys:
        try:
            before = states.read(partition, key)
        except BadEvent:
            continue  # its events become dead letters; an alert cannot be looked at without its state
        if before is None:
            continue
        ticked = tick(before, at, policy)
        if ticked.customer is not before:
            result.keep(key, ticked.customer)
            result.news.extend(AlertUpdate(alert, ticked.customer.applied, None) for alert in ticked.alerts)
    return result


class KeyMismatch(Exception):
    """The key of a record is not the customer of its event."""


class _CustomerUpdates(NamedTuple):
    """Updates about a customer, and the alerts their state held before."""

    key: bytes
    known: list[AlertState]
    news: list[AlertUpdate]


PendingRecord = tuple[int, Arrived, Event | None, bool]
"""A record: the number of its slice; its event, when it is decoded already; whether that had unplanned fields."""


class Folding:
    """Folds slices customer by customer.

    All that has arrived for a customer is decoded, folded and encoded in one go, while it lies in the processor's
    cache; what is kept is bytes. With customers kept as objects until all were folded, reaching for them again took as
    long as the work itself. Customers are told apart by the keys of their records. A producer may have given records
    other keys; then everything is decoded first, and done again by what the events say.
    """

    def __init__(
        self,
        slices: Sequence[Slice],
        decoders: Mapping[str, Decoder],
        states: States,
        policy: RiskPolicy,
        suppressed: Suppressed,
    ) -> None:
        self._slices = slices
        self._decoders = [decoders[slice_.topic] for slice_ in slices]
        self._states = states
        self._policy = policy
        self._suppressed = suppressed
        self._result = FoldResult()
        self._older = Older()
        self.news: list[_CustomerUpdates] = []

    def by_key(self) -> dict[bytes, list[PendingRecord]]:
        """The records by their keys, in the order of each topic."""
        by_key: dict[bytes, list[PendingRecord]] = {}
        for number, slice_ in enumerate(self._slices):
            for record in slice_.records:
                key = record.key
                if key is None:
                    raise KeyMismatch
                pending: PendingRecord = (number, record, None, False)
                if key in by_key:
                    by_key[key].append(pending)
                else:
                    by_key[key] = [pending]
        return by_key

    def by_customer(self) -> dict[bytes, list[PendingRecord]]:
        """The same by what their events say; records that cannot be read are found there under their keys."""
        by_customer: dict[bytes, list[PendingRecord]] = {}
        for number, slice_ in enumerate(self._slices):
            for record in slice_.records:
                try:
                    event, unplanned = self._decoded(number, record)
                except BadEvent:
                    by_customer.setdefault(record.key or b"", []).append((number, record, None, False))
                else:
                    by_customer.setdefault(event.customer_id.encode(), []).append((number, record, event, unplanned))
        return by_customer

    def run(self, come: Mapping[bytes, Sequence[PendingRecord]]) -> FoldResult:
        """Fold everything, from the start."""
        self.news = []
        self._older = Older(self._piece)
        self._result = result = FoldResult(seen=[SliceStats() for _ in self._slices], pieces=self._older.changed)
        for key, records in come.items():
            if self._suppressed and digest_of(key) in self._suppressed:
                self._erased(key, records)
            else:
                self._customer(key, records)
        for slice_, seen in zip(self._slices, result.seen, strict=True):
            seen.dead.sort(key=_offset)
            unused = len(seen.dead) + seen.suppressed + seen.redelivered + seen.duplicates
            seen.folded = len(slice_.records) - unused
        return result

    def _piece(self, key: bytes) -> bytes | None:
        return self._states.piece(self._slices[0].partition, key)

    def _erased(self, key: bytes, come: Sequence[PendingRecord]) -> None:
        """Drop the records of an erased customer, unless they are somebody else's."""
        for number, record, event, _ in come:
            try:
                if event is None:
                    self._named(number, record, key)
            except BadEvent:
                pass  # it names the customer in its key
            self._result.seen[number].suppressed += 1

    def _customer(self, key: bytes, come: Sequence[PendingRecord]) -> None:
        """Fold all records of one customer, then look once whether their risk has changed."""
        slices, all_seen, older = self._slices, self._result.seen, self._older
        customer: Customer | None = None
        concern: ChangedIssues | None = None
        cause, cause_ms, changed = "", 0, False
        for number, record, decoded, unplanned in come:
            seen = all_seen[number]
            try:
                event = decoded
                if event is None:
                    event, unplanned = self._named(number, record, key)  # noqa: PLW2901 - decoded as late as possible
                if self._suppressed:
                    event = without_referral(event, self._suppressed)
                if customer is None:
                    customer = _customer(slices[number], key, event.customer_id, self._states)
                slice_ = slices[number]
                offset = slice_.base + record.offset
                _, affected, redelivered, duplicate = apply(customer, event, slice_.topic, offset, older)
            except BadEvent as bad:
                self._bad(number, record, bad)
                continue
            if unplanned:
                seen.unplanned += 1
            if redelivered:
                seen.redelivered += 1
                continue
            if duplicate:
                seen.duplicates += 1
            changed = True
            seen.newest_event_ms = max(seen.newest_event_ms, customer.last_event_at)
            if affected is not None:
                concern = merged(concern, affected)
                cause, cause_ms = event.event_id, record.timestamp
        if customer is not None and changed:
            self._looked_at(key, customer, concern, cause, cause_ms)

    def _looked_at(
        self, key: bytes, customer: Customer, concern: ChangedIssues | None, cause: str, cause_ms: int
    ) -> None:
        """Look at a customer once, and keep them."""
        if concern is not None:
            known = customer.alerts
            news = look_again(customer, concern, cause, self._policy)
            if news:
                self.news.append(
                    _CustomerUpdates(key, known, [AlertUpdate(alert, customer.applied, cause_ms) for alert in news])
                )
        self._result.keep(key, customer)

    def _named(self, number: int, record: Arrived, key: bytes) -> tuple[Event, bool]:
        """The event of a record, which has the customer as its key."""
        decoded = self._decoded(number, record)
        if decoded[0].customer_id.encode() != key:
            raise KeyMismatch
        return decoded

    def _decoded(self, number: int, record: Arrived) -> tuple[Event, bool]:
        return self._decoders[number].read(record.value, record.timestamp)

    def _bad(self, number: int, record: Arrived, bad: BadEvent) -> None:
        seen, slice_ = self._result.seen[number], self._slices[number]
        if names_suppressed(record.key, record.value, self._suppressed, record.headers):
            seen.suppressed += 1
            return
        kept = Record(slice_.base + record.offset, record.timestamp, record.key, record.value, record.headers)
        seen.dead.append(DeadLetter(slice_.topic, slice_.partition, kept, bad.reason, bad.detail))


def _offset(letter: DeadLetter) -> int:
    return letter.record.offset


def _customer(slice_: Slice, key: bytes, customer_id: str, states: States) -> Customer:
    """A customer as the state has them, or a new one whose records do belong here."""
    customer = states.read(slice_.partition, key)
    if customer is None:
        if partition_of(key, slice_.partitions) != slice_.partition:
            raise BadEvent(Reason.WRONG_PARTITION, "the record's partition is not that of $.customer_id (murmur2)")
        customer = Customer(customer_id=customer_id)
    return customer


def _settle(
    slice_: Slice,
    states: States,
    reconciler: AlertReconciler,
    processed: dict[str, int],
    policy: RiskPolicy,
    result: FoldResult,
) -> None:
    """Let go of the customers whose state has caught up with the alerts already sent."""
    last = slice_.records[-1]
    for key in reconciler.due(processed):
        value = result.changed.get(key)
        known = states.read(slice_.partition, key) if value is None else decode_state(value)
        customer, alerts = reconciler.settle(key, known, policy)
        if customer is not None:
            result.keep(key, customer)
            result.news.extend(AlertUpdate(alert, customer.applied, last.timestamp) for alert in alerts)
