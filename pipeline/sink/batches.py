"""When records become a batch. Pure: no Kafka, no clock.

A batch is a range of one topic partition. Its bounds are written down as an *intent* before it is inserted, so that
after a crash exactly the same range is inserted again under the same token, and ClickHouse recognises it.

An intent is a plan of one or more parts. It has several when ClickHouse refused a row of a larger range: the range is
halved until the row is alone, and every part knows which tables already hold its rows, written with the larger range.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from pipeline.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """A batch is due at this many records, bytes, or seconds after its first record."""

    records: int = 20_000
    bytes: int = 8 * 1024 * 1024
    seconds: float = 0.7


class PlanPart(NamedTuple):
    """A range that ends at ``last`` and begins where the one before it ended."""

    last: int
    done: frozenset[str] = frozenset()
    """Tables that hold its rows already."""


Plan = tuple[PlanPart, ...]


class Batch(NamedTuple):
    """A range of one topic partition that is being written, and what of the plan comes after it."""

    topic: str
    partition: int
    first: int
    last: int
    records: Sequence[Record]
    done: frozenset[str] = frozenset()
    rest: Plan = ()

    @property
    def plan(self) -> Plan:
        """The plan to record before the batch is inserted."""
        return PlanPart(self.last, self.done), *self.rest

    def token(self, table: str) -> str:
        """The token of its insert into a table: it stands for exactly one range of one topic partition."""
        return f"{self.topic}/{self.partition}/{self.first}-{self.last}/{table}"

    def halved(self, done: frozenset[str]) -> Plan:
        """The plan that writes it in two halves; ``done`` tables hold all of it."""
        middle = self.records[len(self.records) // 2 - 1].offset
        return PlanPart(middle, done), PlanPart(self.last, done), *self.rest


@dataclass(slots=True)
class Buffer:
    """Records of one topic partition that wait to become a batch."""

    topic: str = ""
    partition: int = 0
    plan: Plan = ()
    """The open intent: the next batches end exactly where it says."""
    start: int | None = None
    """Where the open intent begins; its first record may have been compacted away since it was recorded."""
    records: list[Record] = field(default_factory=list)
    size: int = 0
    since: float = 0.0

    def add(self, records: Sequence[Record], now: float) -> None:
        """Take more records, those behind the ones it holds."""
        if not self.records:
            self.since = now
        self.records.extend(records)
        self.size += sum([len(value or b"") + len(key or b"") for _, _, key, value, _ in records])

    def is_due(self, policy: BatchPolicy, now: float) -> bool:
        """Whether a batch should be taken; an open intent waits for its last record, or one after it."""
        if not self.records:
            return False
        if self.plan:
            return self.records[-1].offset >= self.plan[0].last
        return self.is_full(policy) or now - self.since >= policy.seconds

    def is_full(self, policy: BatchPolicy) -> bool:
        """Whether no more should be added before a batch is taken."""
        return len(self.records) >= policy.records or self.size >= policy.bytes

    def take(self, now: float) -> Batch | None:
        """The next batch; with an open intent its next part, once all of it is there."""
        if not self.records or (self.plan and self.records[-1].offset < self.plan[0].last):
            return None
        part, *rest = self.plan or (PlanPart(self.records[-1].offset),)
        taken = self.records[: bisect_right(self.records, part.last, key=attrgetter("offset"))]
        first = self.records[0].offset if self.start is None else self.start
        self._keep(self.records[len(taken) :], tuple(rest), part.last + 1, now)
        return Batch(self.topic, self.partition, first, part.last, taken, part.done, tuple(rest))

    def put_back(self, batch: Batch, plan: Plan, now: float) -> None:
        """Take back a batch that has to be written in the parts of ``plan``."""
        self._keep([*batch.records, *self.records], plan, batch.first, now)

    def _keep(self, records: list[Record], plan: Plan, start: int, now: float) -> None:
        self.plan, self.start = plan, start if plan else None
        self.records, self.size = [], 0
        self.add(records, now)


INTENT = "intent:"
_PART = r"[0-9]{1,18}(?:\+[^+,]+)*"
_PLAN = re.compile(f"{INTENT}{_PART}(?:,{_PART})*")


def plan_text(plan: Plan) -> str:
    """A plan as the metadata of the offset commit at its first offset; empty when nothing is intended."""
    parts = ("+".join((str(part.last), *sorted(part.done))) for part in plan)
    return INTENT + ",".join(parts) if plan else ""


def plan_of(text: str) -> Plan:
    """The plan in what a commit says; none, where that is anything else."""
    if not _PLAN.fullmatch(text):
        return ()
    parts = (part.split("+") for part in text.removeprefix(INTENT).split(","))
    return tuple(PlanPart(int(last), frozenset(done)) for last, *done in parts)
