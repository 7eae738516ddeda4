"""When records become a batch, and that an open intent is repeated exactly."""

from pipeline.records import Record
from pipeline.sink.batches import Batch, BatchPolicy, Buffer, PlanPart, plan_of, plan_text

POLICY = BatchPolicy(records=3, bytes=100, seconds=1.0)


def record(offset: int, size: int = 1) -> Record:
    return Record(offset, 0, None, b"x" * size, [])


def filled(buffer: Buffer, offsets: range, *, size: int = 1, now: float = 0.0) -> Buffer:
    for offset in offsets:
        buffer.add([record(offset, size)], now)
    return buffer


def test_a_batch_is_due_by_count_by_size_or_by_age() -> None:
    assert not Buffer().is_due(POLICY, 99.0)
    assert not filled(Buffer(), range(2)).is_due(POLICY, 0.9)
    assert filled(Buffer(), range(2)).is_due(POLICY, 1.0)
    assert filled(Buffer(), range(3)).is_due(POLICY, 0.0)
    assert filled(Buffer(), range(1), size=100).is_due(POLICY, 0.0)


def taken(buffer: Buffer) -> list[int]:
    batch = buffer.take(0.0)
    return [record.offset for record in batch.records] if batch else []


def test_an_open_intent_is_waited_for_and_taken_exactly() -> None:
    buffer = Buffer(plan=(PlanPart(5),), start=2)
    filled(buffer, range(2, 5))
    assert not buffer.is_due(POLICY, 99.0)
    assert buffer.take(99.0) is None
    filled(buffer, range(5, 9))
    assert buffer.is_due(POLICY, 0.0)
    assert taken(buffer) == [2, 3, 4, 5]
    assert buffer.plan == ()
    assert taken(buffer) == [6, 7, 8]


def test_an_intent_keeps_its_name_when_its_first_and_last_records_were_compacted_away() -> None:
    buffer = filled(filled(Buffer("t", 1, plan=(PlanPart(5),), start=1), range(2, 4)), range(7, 8))
    assert buffer.is_due(POLICY, 0.0)
    batch = buffer.take(0.0)
    assert batch is not None
    assert [record.offset for record in batch.records] == [2, 3]
    assert batch.token("rows") == "t/1/1-5/rows"


def test_a_refused_batch_is_written_in_halves_that_know_what_is_done() -> None:
    buffer = filled(Buffer("t", 0), range(10, 14))
    whole = buffer.take(0.0)
    assert whole is not None
    filled(buffer, range(14, 16))
    buffer.put_back(whole, whole.halved(frozenset({"first"})), 0.0)
    batches = [buffer.take(0.0) for _ in range(3)]
    ranges = [(b.first, b.last, b.done, b.rest) for b in batches if b]
    done = frozenset({"first"})
    assert ranges == [(10, 11, done, (PlanPart(13, done),)), (12, 13, done, ()), (14, 15, frozenset(), ())]


def test_a_plan_survives_as_commit_metadata() -> None:
    plan = (PlanPart(41), PlanPart(80, frozenset({"a", "b"})))
    assert plan_of(plan_text(plan)) == plan
    assert plan_text((PlanPart(41),)) == "intent:41"
    assert plan_of("") == plan_of("somebody else's words") == plan_of("intent:7,x") == plan_of("intent:") == ()
    assert plan_text(()) == ""


def test_the_deepest_plan_fits_into_a_commit() -> None:
    tables = frozenset({"alert_messages", "alert_states"})
    halvings = BatchPolicy().records.bit_length() + 1
    deepest = tuple(PlanPart(2**63 - 1, tables) for _ in range(halvings))
    assert len(plan_text(deepest)) < 4096


def test_a_token_names_exactly_one_range() -> None:
    tokens = {
        Batch(topic, p, first, last, []).token("rows")
        for topic in "ab"
        for p in range(2)
        for first, last in ((1, 11), (1, 12), (11, 2))
    }
    assert len(tokens) == 12
