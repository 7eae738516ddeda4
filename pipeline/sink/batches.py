"""When records become a batch. Pure: no Kafka, no clock.

A batch is a range of one topic partition. Its bounds are written down as an *intent* before it is inserted, so that
after a crash exactly the same range is inserted again under the same token, and ClickHouse recognises it.
"""

from dataclasses import dataclass, field

from pipeline.flow import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """A batch is due at this many records, bytes, or seconds after its first record."""

    records: int = 20_000
    bytes: int = 8 * 1024 * 1024
    seconds: float = 0.7


@dataclass(slots=True)
class Buffer:
    """Records of one topic partition that wait to become a batch."""

    must_end_at: int | None = None
    """The last offset of an open intent: the next batch ends exactly there."""
    records: list[Record] = field(default_factory=list)
    size: int = 0
    since: float = 0.0

    def add(self, record: Record, now: float) -> None:
        """Take one more record."""
        if not self.records:
            self.since = now
        self.records.append(record)
        self.size += len(record.value or b"") + len(record.key or b"")

    def is_due(self, policy: BatchPolicy, now: float) -> bool:
        """Whether a batch should be taken; an open intent waits for its last record, or one after it."""
        if not self.records:
            return False
        if self.must_end_at is not None:
            return self.records[-1].offset >= self.must_end_at
        return self.is_full(policy) or now - self.since >= policy.seconds

    def is_full(self, policy: BatchPolicy) -> bool:
        """Whether no more should be added before a batch is taken."""
        return len(self.records) >= policy.records or self.size >= policy.bytes

    def take(self, now: float) -> list[Record]:
        """The records of the next batch; those after an open intent's end stay."""
        end = self.must_end_at
        taken = self.records if end is None else [record for record in self.records if record.offset <= end]
        rest = self.records[len(taken) :]
        self.must_end_at, self.records, self.size, self.since = None, [], 0, now
        for record in rest:
            self.add(record, now)
        return taken


INTENT = "intent:"


def intent_of(last_offset: int) -> str:
    """An intent as the metadata of the offset commit at its first offset."""
    return f"{INTENT}{last_offset}"


def intended_end(metadata: str | None) -> int | None:
    """The last offset of the intent in a commit's metadata, ``None`` when there is none."""
    if not metadata or not metadata.startswith(INTENT):
        return None
    return int(metadata.removeprefix(INTENT))


def token(topic: str, partition: int, first: int, last: int) -> str:
    """What a batch is recognised by: exactly one range of one topic partition."""
    return f"{topic}/{partition}/{first}-{last}"
