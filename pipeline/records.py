"""Types that all rooms share: records of the log, slices of records, dead letters, and results of folding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import Reason

Headers = Sequence[tuple[str, bytes | None]]
"""Names and values, as anyone may write them: a value may be missing, and a name may stand there twice."""


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
    base: int = 0
    """The number added to the offsets that the broker gave them (:mod:`pipeline.kafka.incarnations`)."""

    @property
    def last(self) -> int:
        """The offset of the last record."""
        return self.base + self.records[-1].offset


class DeadLetter(NamedTuple):
    """A record that cannot be used, and why."""

    topic: str
    partition: int
    record: Record
    reason: Reason
    detail: str


class AlertUpdate(NamedTuple):
    """A message to the desk."""

    alert: ChurnAlert
    applied: Mapping[str, int]
    """The last offset of each topic that was applied to the customer when it was told."""
    appended_at_ms: int | None
    """When the broker received the record that led to it; ``None``: time alone did."""


@dataclass(slots=True)
class SliceStats:
    """Counts of the records of one slice by what became of them."""

    folded: int = 0
    duplicates: int = 0
    redelivered: int = 0
    unplanned: int = 0
    suppressed: int = 0
    """Records that name a customer who was erased."""
    newest_event_ms: int = 0
    dead: list[DeadLetter] = field(default_factory=list)


Accept = Callable[[Sequence[Slice], Sequence[SliceStats]], None]
"""Told what each of some slices came to; raises where nothing of them may leave the process."""
