"""Keeps the churn risk after every stage of a service contact, with its contributions.

Alerts hold what the desk was told. This folds the raw events again, under a policy on record, and keeps every risk,
also those below the threshold.

1. Customers with contacts are taken in ranges of their ids, so that memory is bounded.
2. Of a range those are due whose raw events are not those of their last scoring under this policy.
3. Their scores are written, then that they are scored. What is interrupted in between is scored again, and the newer
   rows take the place of the older.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

from pipeline.analysis.parameters import opened
from pipeline.analysis.stored_events import TABLES, between
from pipeline.config import Settings
from pipeline.core.contract.events import Event
from pipeline.core.contract.moments import instant
from pipeline.core.replay import Score, scores
from pipeline.core.risk.assessment import RiskPolicy
from pipeline.progress import Meter, silent
from pipeline.warehouse import model_registry
from pipeline.warehouse.client import Warehouse

CUSTOMERS_AT_ONCE = 500
"""Customers of a range; what they did is in memory at once."""
_LIMITS = """
    SELECT customer_id FROM
    (
        SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS number
        FROM (SELECT DISTINCT customer_id FROM raw_service_contacts)
    )
    WHERE number % {n:UInt32} = 1 OR {n:UInt32} = 1 ORDER BY customer_id
"""
_RAW = " UNION ALL ".join(
    f"SELECT customer_id, {int(table == 'raw_service_contacts')} AS contact, "  # noqa: S608 - the names are ours
    f"cityHash64(_topic, _partition, _offset) AS place FROM {table} WHERE "
    "customer_id >= {first:String} AND ({last:String} = '' OR customer_id < {last:String})"
    for table in TABLES
)
_DUE = f"""
    SELECT r.customer_id, r.events, toString(r.fingerprint) FROM
    (
        SELECT customer_id, count() AS events, sum(place) AS fingerprint
        FROM ({_RAW}) GROUP BY customer_id HAVING max(contact) = 1
    ) AS r
    LEFT JOIN
    (
        SELECT customer_id, fingerprint FROM scored_customers FINAL
        WHERE policy_version = {{version:String}} AND customer_id >= {{first:String}}
    ) AS s ON s.customer_id = r.customer_id
    WHERE r.fingerprint != s.fingerprint OR s.customer_id = ''
    ORDER BY r.customer_id
"""  # noqa: S608 - the names are ours
_MOMENT = "DateTime64(3, 'UTC')"
_SCORES = {
    "policy_version": "LowCardinality(String)",
    "customer_id": "String",
    "issue_id": "String",
    "event_id": "String",
    "at": _MOMENT,
    "churn_risk_0_1": "Float64",
    "churn_risk_before_0_1": "Float64",
    "terms": "Array(LowCardinality(String))",
    "term_values": "Array(Float64)",
    "logits": "Array(Float64)",
    "evidence": "Array(String)",
    "synthetic": "Bool",
    "scored_at": _MOMENT,
}
_SCORED = {
    "policy_version": "LowCardinality(String)",
    "customer_id": "String",
    "events": "UInt64",
    "fingerprint": "UInt64",
    "scores": "UInt32",
    "scored_at": _MOMENT,
}
ScoreRow = tuple[Any, ...]


class Scored(NamedTuple):
    """What a run came to."""

    policy_version: str
    customers: int
    """Customers that were due."""
    scores: int


class _Due(NamedTuple):
    customer_id: str
    events: int
    fingerprint: int


def run(settings: Settings, version: str | None, meter: Meter = silent) -> Scored:
    """Score what is due under the policy on record as ``version``, or the current one.

    Raises
    ------
    NotFound
        No such policy is on record.
    """
    warehouse = opened(settings, "score_history")
    model_registry.record_priors(warehouse, datetime.now(UTC))
    return score(warehouse, model_registry.policy(warehouse, version), meter=meter)


def score(warehouse: Warehouse, policy: RiskPolicy, at_once: int = CUSTOMERS_AT_ONCE, meter: Meter = silent) -> Scored:
    """Score every customer who is due, range by range."""
    first = [str(row[0]) for row in warehouse.query(_LIMITS, {"n": at_once}).rows]
    customers = written = 0
    with meter(f"scoring under {policy.version}", "ranges") as progress:
        for number, (start, end) in enumerate(pairwise([*first, ""]), start=1):
            due = _due(warehouse, policy, start, end)
            customers, written = customers + len(due), written + (_range(warehouse, policy, due) if due else 0)
            progress(number, len(first))
    return Scored(policy.version, customers, written)


def _due(warehouse: Warehouse, policy: RiskPolicy, start: str, end: str) -> list[_Due]:
    answer = warehouse.query(_DUE, {"version": policy.version, "first": start, "last": end}, read_only=True)
    return [_Due(str(customer), int(events), int(fingerprint)) for customer, events, fingerprint in answer.rows]


def _range(warehouse: Warehouse, policy: RiskPolicy, due: Sequence[_Due]) -> int:
    now = datetime.now(UTC)
    events = between(warehouse, due[0].customer_id, due[-1].customer_id)
    rows: list[ScoreRow] = []
    scored: list[ScoreRow] = []
    for customer in due:
        customer_rows = list(_rows(customer.customer_id, events, policy, now))
        rows.extend(customer_rows)
        scored.append((policy.version, *customer, len(customer_rows), now))
    for table, columns, block in (("score_history", _SCORES, rows), ("scored_customers", _SCORED, scored)):
        if block:
            token = blake2b(repr(block).encode(), digest_size=16).hexdigest()
            warehouse.insert(table, columns, block, f"score|{token}")
    return len(rows)


def _rows(
    customer_id: str, events: Mapping[str, Sequence[Event]], policy: RiskPolicy, now: datetime
) -> Iterator[ScoreRow]:
    for score in scores(events.get(customer_id, ()), policy):
        yield _row(customer_id, score, policy.version, now)


def _row(customer_id: str, score: Score, version: str, now: datetime) -> ScoreRow:
    return (
        version,
        customer_id,
        score.issue_id,
        score.event_id,
        instant(score.now.at),
        score.now.after,
        score.now.before,
        [part.term for part in score.contributions],
        [part.value for part in score.contributions],
        [part.logit for part in score.contributions],
        score.evidence,
        score.synthetic,
        now,
    )
