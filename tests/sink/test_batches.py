"""When records become a batch, and that an open intent is repeated exactly."""

from pipeline.flow import Record
from pipeline.sink.batches import BatchPolicy, Buffer, intended_end, intent_of, token

POLICY = BatchPolicy(records=3, bytes=100, seconds=1.0)


def record(offset: int, size: int = 1) -> Record:
    return Record(offset, 0, None, b"x" * size, [])


def filled(buffer: Buffer, offsets: range, *, size: int = 1, now: float = 0.0) -> Buffer:
    for offset in offsets:
        buffer.add(record(offset, size), now)
    return buffer


def test_a_batch_is_due_by_count_by_size_or_by_age() -> None:
    assert not Buffer().is_due(POLICY, 99.0)
    assert not filled(Buffer(), range(2)).is_due(POLICY, 0.9)
    assert filled(Buffer(), range(2)).is_due(POLICY, 1.0)
    assert filled(Buffer(), range(3)).is_due(POLICY, 0.0)
    assert filled(Buffer(), range(1), size=100).is_due(POLICY, 0.0)


def test_an_open_intent_is_waited_for_and_taken_exactly() -> None:
    buffer = Buffer(must_end_at=5)
    filled(buffer, range(2, 5))
    assert not buffer.is_due(POLICY, 99.0)
    filled(buffer, range(5, 9))
    assert buffer.is_due(POLICY, 0.0)
    assert [r.offset for r in buffer.take(0.0)] == [2, 3, 4, 5]
    assert buffer.must_end_at is None
    assert [r.offset for r in buffer.take(0.0)] == [6, 7, 8]


def test_an_intent_whose_last_record_was_compacted_away_ends_before_the_next() -> None:
    buffer = filled(filled(Buffer(must_end_at=5), range(2, 4)), range(7, 8))
    assert buffer.is_due(POLICY, 0.0)
    assert [r.offset for r in buffer.take(0.0)] == [2, 3]


def test_intents_survive_as_commit_metadata() -> None:
    assert intended_end(intent_of(41)) == 41
    assert intended_end("") is None
    assert intended_end(None) is None


def test_a_token_names_exactly_one_range() -> None:
    tokens = {
        token(topic, p, first, last) for topic in "ab" for p in range(2) for first, last in ((1, 11), (1, 12), (11, 2))
    }
    assert len(tokens) == 12
