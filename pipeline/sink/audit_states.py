"""Whether the states count the events that have rows: both ways, customer by customer, while records keep coming.

A state says how far its customer's events of each topic were folded (``applied``). It is right when it counts exactly
the events whose first row lies at or below that offset, with the same sums per currency, and when no event that the
workers are done with lies above it. What a cut (:mod:`pipeline.sink.cuts`) cannot vouch for is counted as not yet
judged, never as wrong.

- Event identity is topic and id. Of an event that was produced twice the first row counts.
- A row with a dead letter (the customer's sum would not fit, their state could not be read) may be counted or not.
- An event whose row ClickHouse refused may be counted without a row; its letter says whose it was.
- Customers who were erased are left out: their states and rows go one after the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.config import Settings
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Reason
from pipeline.kafka.incarnations import Bases
from pipeline.sink import cuts
from pipeline.sink.cuts import Cut
from pipeline.topics import CONTACTS, OUTCOMES, PURCHASES, STATES, SURVEYS
from pipeline.warehouse.client import Warehouse, literal

CHUNK = 500_000
"""How many rows of a table are looked at together; it bounds the memory, not the result."""
STEP = 100_000
"""The same for one of the rounds of a running sink."""
NEWEST = 100
"""How many of the customers whose states were written last such a round looks at."""
AGAIN = 100
"""How many of those that were wrong a round before."""
NAMED = 1_000
"""Of how many contradictions the customers are named."""


class Counted(NamedTuple):
    """A topic: the table of its events, and what a state says about how many there were."""

    topic: str
    table: str
    events: str


COUNTED = (
    Counted(PURCHASES.name, "raw_purchases", "purchases + refunds"),
    Counted(CONTACTS.name, "raw_service_contacts", "contact_events"),
    Counted(SURVEYS.name, "raw_survey_responses", "survey_answers"),
    Counted(OUTCOMES.name, "raw_alert_outcomes", "events - purchases - refunds - contact_events - survey_answers"),
)

_PAID = "argMinIf((amount, currency, refund_of != ''), _offset, NOT lettered)"
_NOTHING_PAID = "(toDecimal64(0, 4), '', false)"
_NONZERO = "mapFilter((currency, sum) -> sum != 0, {})"
_TOLD = _NONZERO.format("mapSort(CAST({}, 'Map(String, Decimal(38, 4))'))")
_SUMS = (
    "arrayReduce('sumMap', arrayMap(event -> map(toString(event.2.2), toDecimal128({sign}event.2.1, 4)), "
    "arrayFilter(event -> event.1 < below AND {of}, events)))"
)
_SUMS_DIFFER = (
    f"{_NONZERO.format(_SUMS.format(sign='', of='NOT event.2.3'))} != {_TOLD.format('spent')} OR "
    f"{_NONZERO.format(_SUMS.format(sign='-', of='event.2.3'))} != {_TOLD.format('refunded')}"
)
_SQL = """
    WITH
        known AS
        (
            SELECT customer_id, _partition AS state_partition, _offset AS state_offset, deleted,
                toInt64({events}) AS counted, spent, refunded,
                ifNull(JSONExtract(concat('{{', extract(state, '"applied":[{{][^}}]*[}}]'), '}}'), 'applied',
                    {{topic:String}}, 'Nullable(Int64)'), -1) + 1 AS reached
            FROM customer_states FINAL
            WHERE {scope}
        ),
        records AS
        (
            SELECT *, (_partition, _offset) IN
            (
                SELECT source_partition, source_offset FROM dead_letters WHERE source_topic = {{source:String}}
            ) AS lettered
            FROM (SELECT *, _event FROM {table} WHERE {scope})
        ),
        firsts AS
        (
            SELECT customer_id, max(_partition) AS partition, minIf(_offset, NOT lettered) AS first,
                max(lettered) AS doubtful, min(lettered) AS hidden, {paid} AS paid
            FROM records
            GROUP BY customer_id, _event
        ),
        there AS
        (
            SELECT customer_id, max(partition) AS event_partition, sum(doubtful) AS doubts,
                groupArrayIf((first, paid), NOT hidden) AS events
            FROM firsts
            GROUP BY customer_id
        ),
        compared AS
        (
            SELECT customer_id, counted, doubts, reached AS below,
                greatest(state_partition, event_partition) + 1 AS place,
                reached <= {{written:Array(UInt64)}}[place]
                    AND (reached = 0 OR state_offset < {{states:Array(UInt64)}}[place]) AS judged,
                arrayCount(event -> event.1 < below, events) AS found,
                {{folded:Array(UInt64)}}[place] AS done,
                arrayCount(event -> event.1 >= below AND event.1 < done, events) AS not_counted,
                judged AND counted = found AND doubts = 0 AND ({sums_differ}) AS sums_differ
            FROM known FULL OUTER JOIN there USING (customer_id)
        )
    SELECT count(), countIf(NOT judged),
        groupArrayIf((customer_id, counted, found, doubts, not_counted, sums_differ),
            not_counted > 0 OR sums_differ OR (judged AND counted != found))
    FROM compared
"""
_REFUSED = """
    SELECT JSONExtractString(value, 'customer_id') AS customer_id, count() FROM dead_letters FINAL
    WHERE source_topic = {source:String} AND reason = {reason:String} GROUP BY customer_id
"""


class Contradiction(NamedTuple):
    """A customer whose state and events of a topic contradict each other."""

    customer_id: str
    topic: str
    counted: int
    """Events the state counts; 0 also when there is no state."""
    events: int
    """Events with rows, of those the state says were folded."""
    not_counted: int
    """Events with rows that the workers are done with and the state does not know of."""
    sums_differ: bool
    """The counts agree, and what was spent or refunded does not."""

    def __str__(self) -> str:
        reasons = [f"the state counts {self.counted}, {self.events} have rows"] if self.counted != self.events else []
        reasons += [f"{self.not_counted} are done with and not counted"] if self.not_counted else []
        reasons += ["the sums of money differ"] if self.sums_differ else []
        return f"customer {self.customer_id}, {self.topic}: {'; '.join(reasons)}"


@dataclass(slots=True)
class Compared:
    """The comparison of one topic."""

    topic: str
    compared: int = 0
    """Customers with a state or with events."""
    not_yet: int = 0
    """Of these, those whose state is ahead of what is certain to be in the warehouse."""
    wrong: int = 0
    named: list[Contradiction] = field(default_factory=list)
    """The first :data:`NAMED` of what is wrong."""


class Scope(NamedTuple):
    """Which customers are looked at: a condition on ``customer_id``, and the values it names."""

    condition: str
    values: Mapping[str, str] = {}


def everybody(warehouse: Warehouse, rows: int = CHUNK) -> Iterator[Scope]:
    """All customers, in ranges with so many rows of a table at most, unless they are one customer's."""
    low: str | None = ""
    while low is not None:
        high = next_end(warehouse, low, rows)
        yield between(low, high)
        low = high


def next_end(warehouse: Warehouse, low: str, rows: int) -> str | None:
    """The last customer of the range that follows ``low``; ``None``: it has no end."""
    tables = [counted.table for counted in COUNTED] + ["customer_states"]
    one = "(SELECT customer_id FROM {} WHERE customer_id > {{low:String}} ORDER BY customer_id LIMIT 1 OFFSET {})"
    each = " UNION ALL ".join(one.format(table, rows) for table in tables)
    found = warehouse.query(f"SELECT customer_id FROM ({each}) ORDER BY customer_id LIMIT 1", {"low": low}).rows  # noqa: S608 - our own names
    return str(found[0][0]) if found else None


def between(low: str, high: str | None) -> Scope:
    """Customers after ``low``, up to and including ``high``."""
    if high is None:
        return Scope("customer_id > {low:String}", {"low": low})
    return Scope("customer_id > {low:String} AND customer_id <= {high:String}", {"low": low, "high": high})


def these(customers: Iterable[str]) -> Scope:
    """The customers with these ids; at least one."""
    return Scope(f"customer_id IN ({', '.join(literal(customer) for customer in customers)})")


def newest(warehouse: Warehouse, count: int) -> list[str]:
    """The customers whose states were written last."""
    rows = warehouse.query(
        "SELECT customer_id FROM customer_states ORDER BY _offset DESC LIMIT {n:UInt32}", {"n": count}
    ).rows
    return [str(customer) for (customer,) in rows]


def compare(settings: Settings, warehouse: Warehouse, cut: Cut, scopes: Iterable[Scope]) -> list[Compared]:
    """Compare the states of some customers with their events, topic by topic."""
    comparisons = [Compared(counted.topic) for counted in COUNTED]
    for scope in scopes:
        for counted, compared in zip(COUNTED, comparisons, strict=True):
            _compare(settings, warehouse, cut, scope, counted, compared)
    return comparisons


def _compare(
    settings: Settings, warehouse: Warehouse, cut: Cut, scope: Scope, counted: Counted, compared: Compared
) -> None:
    def below(ends: Mapping[tuple[str, int], int], topic: str) -> list[int]:
        return [ends.get((topic, partition), 0) for partition in range(settings.partitions)]

    ((customers, not_yet, suspects),) = warehouse.query(
        _SQL.format(
            table=counted.table,
            events=counted.events,
            scope=scope.condition,
            paid=_PAID if counted.topic == PURCHASES.name else _NOTHING_PAID,
            sums_differ=_SUMS_DIFFER if counted.topic == PURCHASES.name else "false",
        ),
        {
            **scope.values,
            "topic": counted.topic,
            "source": settings.topic(counted.topic),
            "written": below(cut.written, counted.topic),
            "folded": below(cut.folded, counted.topic),
            "states": below(cut.states, STATES.name),
        },
    ).rows
    compared.compared += int(customers)
    compared.not_yet += int(not_yet)
    wrong = _wrong(settings, warehouse, counted.topic, suspects) if suspects else []
    compared.wrong += len(wrong)
    compared.named += wrong[: NAMED - len(compared.named)]


def _wrong(settings: Settings, warehouse: Warehouse, topic: str, suspects: list[Any]) -> list[Contradiction]:
    """The suspects, without who was erased and without what letters explain.

    The list of the erased is read after the tables: whoever is being erased is on it already.
    """
    reason = Reason.REJECTED_BY_WAREHOUSE.value
    letters = warehouse.query(_REFUSED, {"source": settings.topic(topic), "reason": reason}).rows
    refused = {str(customer): int(count) for customer, count in letters}
    suppressions = Suppressions(settings).read()
    found = []
    for customer, counted, events, doubts, not_counted, sums_differ in suspects:
        one = Contradiction(str(customer), topic, int(counted), int(events), int(not_counted), bool(sums_differ))
        unexplained = int(refused.get(str(customer), 0))
        if digest_of(one.customer_id.encode()) not in suppressions.digests and _stands(one, int(doubts), unexplained):
            found.append(one)
    suppressions.close()
    return found


def _stands(one: Contradiction, doubts: int, refused: int) -> bool:
    """Whether a contradiction stands although letters allow the state so many events more."""
    if one.not_counted or (one.sums_differ and not refused):
        return True
    return not 0 <= one.counted - one.events <= doubts + refused


class Rounds:
    """The comparison piece by piece, for who looks often and must not take long.

    A round looks at the next range of customers, at those whose states were written last, and again at those that were
    wrong the round before: once found, a contradiction is told until it is gone.
    """

    def __init__(self, settings: Settings, bases: Bases) -> None:
        self._settings = settings
        self._bases = bases
        self._low = ""
        self._wrong: list[str] = []

    def look(self, warehouse: Warehouse) -> int:
        """One round; returns how many contradictions it found."""
        cut = cuts.taken(self._settings, self._bases)
        high = next_end(warehouse, self._low, STEP)
        named = {*self._wrong, *newest(warehouse, NEWEST)}
        scopes = [between(self._low, high), *([these(named)] if named else [])]
        found = {one for compared in compare(self._settings, warehouse, cut, scopes) for one in compared.named}
        self._low = high or ""
        self._wrong = sorted({one.customer_id for one in found})[:AGAIN]
        return len({(one.customer_id, one.topic) for one in found})
