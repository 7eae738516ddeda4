"""Where the read of a range ends, and what it says when the broker does not answer."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, TopicPartition

from pipeline import kafka
from pipeline.errors import Unreachable

Place = tuple[str, int]
A, B = ("a", 0), ("b", 1)


class Broker:
    """Answers each call with the next batch, and with nothing when all are given out."""

    def __init__(self, *batches: Sequence[Message]) -> None:
        self._batches = list(batches)
        self.assigned: list[tuple[str, int, int]] = []

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self.assigned = [(place.topic, place.partition, place.offset) for place in places]

    def consume(self, _most: int, _seconds: float) -> Sequence[Message]:
        return self._batches.pop(0) if self._batches else ()


def record(place: Place, offset: int) -> Message:
    return Message(topic=place[0], partition=place[1], offset=offset)


def error(place: Place, code: int) -> Message:
    return Message(topic=place[0], partition=place[1], offset=9, error=KafkaError(code))


def end(place: Place) -> Message:
    return error(place, KafkaError._PARTITION_EOF)


def read(broker: Any, ranges: dict[Place, tuple[int, int | None]], **more: Any) -> list[tuple[str, int]]:
    return [(message.topic(), message.offset()) for message in kafka.read_ranges(broker, ranges, **more)]


CASES: dict[str, tuple[list[list[Message]], dict[Place, tuple[int, int | None]], list[tuple[str, int]]]] = {
    "before its end": ([[record(A, n) for n in range(5)]], {A: (0, 3)}, [("a", 0), ("a", 1), ("a", 2)]),
    "where its last records were compacted away": ([[record(A, 0), record(A, 7)]], {A: (0, 3)}, [("a", 0)]),
    "where its last offset is a transaction's marker": ([[record(A, 0)], [end(A)]], {A: (0, 2)}, [("a", 0)]),
    "where the partition ends": ([[record(A, 0), end(A)]], {A: (0, None)}, [("a", 0)]),
    "after what is left of it": ([[record(A, 2)]], {A: (0, 3)}, [("a", 2)]),
    "at once where it is empty": ([], {A: (4, 4), B: (5, 2)}, []),
    "for each partition by itself": (
        [[record(A, 0), end(A)], [record(A, 1), record(B, 3), record(B, 4)]], {A: (0, None), B: (3, 5)},
        [("a", 0), ("b", 3), ("b", 4)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("batches", "ranges", "expected"), CASES.values(), ids=CASES)
def test_a_range_ends(
    batches: list[list[Message]], ranges: dict[Place, tuple[int, int | None]], expected: list[tuple[str, int]]
) -> None:
    assert read(Broker(*batches), ranges) == expected


def test_only_ranges_that_hold_something_are_asked_for() -> None:
    broker = Broker([record(B, 3)])
    assert read(broker, {A: (4, 4), B: (3, 4)}) == [("b", 3)]
    assert broker.assigned == [("b", 1, 3)]


def test_an_error_ends_the_read_unless_it_may_pass() -> None:
    batches = [record(A, 0)], [error(A, KafkaError.UNKNOWN_TOPIC_OR_PART)], [record(A, 1)]
    with pytest.raises(Unreachable, match=r"a cannot be read: .*[Uu]nknown topic"):
        read(Broker(*batches), {A: (0, 2)})
    assert read(Broker(*batches), {A: (0, 2)}, on_error=lambda *_: None) == [("a", 0), ("a", 1)]


def test_who_stops_answering_is_not_waited_for_for_ever() -> None:
    with pytest.raises(Unreachable, match="Kafka stopped answering while the log was read; try again"):
        read(Broker([record(A, 0)]), {A: (0, 2)}, seconds=0.05)
    complaining = Broker(*([error(A, KafkaError.UNKNOWN_TOPIC_OR_PART)] for _ in range(200_000)))
    with pytest.raises(Unreachable, match="while it was read"):
        read(complaining, {A: (0, 2)}, doing="it was read", seconds=0.05, on_error=lambda *_: None)
