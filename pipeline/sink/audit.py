"""Whether every record has its row, once: the warehouse compared with the log.

Everything below the committed offset of the sinks must be there. An offset without a row is right when its record is no
event, when it is a dead letter because ClickHouse refused its row, or when it is about a customer who was erased. The
log itself says which; only the records at such offsets are read.

Records keep coming while it looks. Every bound is asked before what it bounds: below the offsets that the sinks had
committed before a query began, the query sees everything. Where newer rows replace older ones, a row that is gone is
missing only if none of its key is newer. What the bounds cannot vouch for is not judged.
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.suppression_list import Suppressions
from pipeline.kafka.incarnations import Bases, shifted
from pipeline.sink.audited_log import NEWEST_ONLY, AuditedLog, LogRange
from pipeline.topics import (
    ALERTS,
    CONTACTS,
    DEAD_LETTERS,
    OUTCOMES,
    PURCHASES,
    STATES,
    SUPPRESSED,
    SURVEYS,
    TOPICS,
)
from pipeline.warehouse.client import Warehouse

TABLES = {
    PURCHASES.name: "raw_purchases",
    CONTACTS.name: "raw_service_contacts",
    SURVEYS.name: "raw_survey_responses",
    OUTCOMES.name: "raw_alert_outcomes",
    ALERTS.name: "alert_messages",
    STATES.name: "customer_states",
    DEAD_LETTERS.name: "dead_letters",
    SUPPRESSED.name: "suppressions",
}
"""In which table the records of a topic are looked for."""
HISTORY = {STATES.name: "customer_state_history"}
"""Where every record of a topic is kept, not only the newest; it may have begun later than the log."""
CHUNK = 2_000_000
"""How many offsets are compared at a time."""
AGAIN_SECONDS = 1.0
"""How long after a look at the aggregates the next one follows."""
_IN_RANGE = (
    "FROM {table:Identifier} WHERE _topic = {topic:String} AND _partition = {partition:UInt16} "
    "AND _offset >= {low:UInt64} AND _offset < {end:UInt64}"
)
_ABSENT = (
    "SELECT number FROM numbers({low:UInt64}, {end:UInt64} - {low:UInt64}) "  # noqa: S608 - no value is in it
    f"WHERE number NOT IN (SELECT _offset {_IN_RANGE}) ORDER BY number"
)
_COUNTS = f"SELECT count(), count() - uniqExact(_offset) {_IN_RANGE}"
_ALERTS = """
    WITH
        told AS
        (
            SELECT alert_id, any(customer_id) AS told_customer, max(_offset) + 1 AS newest
            FROM alert_messages WHERE _offset < {below:Array(UInt64)}[_partition + 1] GROUP BY alert_id
        ),
        standing AS
        (
            SELECT alert_id, customer_id AS known_customer, _offset + 1 AS stands,
                _offset >= {below:Array(UInt64)}[_partition + 1] AS beyond
            FROM alert_states FINAL
        )
    SELECT count(), groupArrayIf(if(told_customer = '', known_customer, told_customer),
        if(beyond, stands < newest, stands != newest))
    FROM told FULL OUTER JOIN standing USING (alert_id)
"""
_FIRST = f"SELECT ifNull(minOrNull(_offset), {{end:UInt64}}) {_IN_RANGE}"


class Finding(NamedTuple):
    """The rows a table holds of a topic, and the mistakes in them."""

    table: str
    topic: str
    records: int
    rows: int
    without_row: int
    repeated: int
    missing: Sequence[tuple[int, int]]
    """Partition and offset of records that make a row and have none."""

    @property
    def ok(self) -> bool:
        """Whether every record has its row, once."""
        return not self.repeated and not self.missing


def examine(settings: Settings, warehouse: Warehouse, newest: int | None = None, group: str = "sink") -> list[Finding]:
    """Compare every table with the log, or only the ``newest`` offsets of every partition."""
    log = AuditedLog(settings, warehouse)
    try:
        ranges = list(_ranges(settings, log.bases, newest, group))
        findings = [_finding(warehouse, log, topic, table, _of(ranges, topic)) for topic, table in TABLES.items()]
        for topic, table in HISTORY.items():
            begun = [range_._replace(low=_first(warehouse, table, range_)) for range_ in _of(ranges, topic)]
            findings.append(_finding(warehouse, log, topic, table, begun))
        return findings
    finally:
        log.close()


def _ranges(settings: Settings, bases: Bases, newest: int | None, group: str) -> Iterator[LogRange]:
    bounds = kafka.end_offsets(settings, TOPICS)
    committed = kafka.committed(settings, settings.group(group), TOPICS)
    for (topic, partition), (low, _) in bounds.items():
        base, end = bases.get(topic, 0), committed.get((topic, partition), 0)
        if end > low:
            yield LogRange(topic, partition, base + (low if newest is None else max(low, end - newest)), base + end)


def disagreements(
    settings: Settings, warehouse: Warehouse, bases: Bases, group: str = "sink"
) -> dict[str, tuple[int, int]]:
    """Conclusions, each with how many keys were compared and how many contradict what they rest on.

    An alert must stand as it was last told below the bounds; one that stands beyond them is newer, and not judged.
    """
    committed = shifted(kafka.committed(settings, settings.group(group), [ALERTS]), bases)
    below = [committed.get((ALERTS.name, partition), 0) for partition in range(settings.partitions)]
    ((compared, suspects),) = warehouse.query(_ALERTS, {"below": below}).rows
    erased = Suppressions(settings)
    try:
        digests = erased.read().digests if suspects else ()
        wrong = [customer for customer in suspects if digest_of(str(customer).encode()) not in digests]
        return {"alert_states": (int(compared), len(wrong))}
    finally:
        erased.close()


def _of(ranges: Sequence[LogRange], topic: str) -> list[LogRange]:
    return [range_ for range_ in ranges if range_.topic == topic]


def _first(warehouse: Warehouse, table: str, range_: LogRange) -> int:
    """The first offset in a range of which a table has a row; the end of the range when there is none."""
    return int(warehouse.value(_FIRST, range_._asdict() | {"table": table}))


class Aggregate(NamedTuple):
    """How many records an aggregate counted, and how many rows there are to count."""

    counted: int
    rows: int
    ok: bool
    """Nothing says that they contradict each other."""


def aggregates(warehouse: Warehouse, looks: int = 5) -> dict[str, Aggregate]:
    """The aggregates, compared with the tables they count.

    A batch that is being written is in the one and not yet in the other, so what differs is looked at again. They
    contradict each other when they differ by the same at every look, or when the one has not reached in the end what
    the other had in the beginning. A difference that changes is on its way.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    for look in range(looks):
        time.sleep(AGAIN_SECONDS if look else 0.0)
        for name, counted, rows in warehouse.query("SELECT aggregate, counted, rows FROM audit_aggregates").rows:
            seen.setdefault(str(name), []).append((int(counted), int(rows)))
        if all(any(counted == rows for counted, rows in pairs) for pairs in seen.values()):
            break
    return {name: Aggregate(*pairs[-1], not _contradict(pairs)) for name, pairs in seen.items()}


def _contradict(pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether no batch on its way can explain what an aggregate and its table held at each look."""
    (first_counted, first_rows), (last_counted, last_rows) = pairs[0], pairs[-1]
    differences = {counted - rows for counted, rows in pairs}
    stuck = len(differences) == 1 and 0 not in differences
    return stuck or (0 not in differences and (last_counted < first_rows or first_counted > last_rows))


def _finding(warehouse: Warehouse, log: "AuditedLog", topic: str, table: str, ranges: Sequence[LogRange]) -> Finding:
    rows = repeated = without = 0
    missing: list[tuple[int, int]] = []
    for range_ in ranges:
        ((count, again),) = warehouse.query(_COUNTS, range_._asdict() | {"table": table}).rows
        absent = list(_absent(warehouse, table, range_))
        rows, repeated, without = rows + int(count), repeated + int(again), without + len(absent)
        missing += [(range_.partition, offset) for offset in log.that_make_rows(range_, absent, table)]
    records = sum(range_.end - range_.low for range_ in ranges)
    return Finding(table, topic, records, rows, without, repeated, missing)


def _absent(warehouse: Warehouse, table: str, range_: LogRange) -> Iterator[int]:
    """Offsets without a row, of those that must have one unless the log explains it."""
    low = range_.end - 1 if table in NEWEST_ONLY else range_.low
    for start in range(low, range_.end, CHUNK):
        part = range_._replace(low=start, end=min(start + CHUNK, range_.end))
        for (offset,) in warehouse.query(_ABSENT, part._asdict() | {"table": table}).rows:
            yield int(offset)
