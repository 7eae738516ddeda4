"""Topics of a partition take turns by time: nobody is skipped, a slice is bounded, waiting has an end."""

from typing import NamedTuple

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from pipeline.worker.topic_interleaver import MAX_SLICE, PATIENCE_SECONDS, Turns

BOUGHT, CALLED, OTHER = TP("purchases", 0), TP("service-contacts", 0), TP("purchases", 1)


class Arrived(NamedTuple):
    """A record: when the broker received it, and which it is."""

    timestamp: int
    offset: int


def records(*timestamps: int) -> list[Arrived]:
    return [Arrived(timestamp, offset) for offset, timestamp in enumerate(timestamps)]


def took(turns: Turns, behind: set[TP], now: float = 0.0) -> list[tuple[TP, list[int]]]:
    slices = turns.take({BOUGHT, CALLED, OTHER}, lambda tp: tp in behind, now)
    return [(tp, [record.timestamp for record in slice_]) for tp, slice_ in slices]


def test_a_topic_waits_for_one_that_is_behind_it_in_time() -> None:
    turns = Turns()
    turns.add(BOUGHT, records(1, 2, 3))
    turns.add(CALLED, records(2, 8, 9))
    assert took(turns, behind={BOUGHT}) == [(BOUGHT, [1, 2, 3]), (CALLED, [2])]
    turns.add(BOUGHT, records(8))
    assert took(turns, behind=set()) == [(BOUGHT, [8]), (CALLED, [8, 9])]


def test_a_topic_that_has_nothing_more_holds_nobody_up() -> None:
    turns = Turns()
    turns.add(CALLED, records(8, 9))
    assert took(turns, behind=set()) == [(CALLED, [8, 9])]


def test_a_topic_whose_records_do_not_come_is_waited_for_a_while_only() -> None:
    turns = Turns()
    turns.add(CALLED, records(8, 9))
    assert took(turns, behind={BOUGHT}, now=10.0) == []
    assert took(turns, behind={BOUGHT}, now=10.0 + PATIENCE_SECONDS / 2) == []
    assert took(turns, behind={BOUGHT}, now=10.0 + PATIENCE_SECONDS) == [(CALLED, [8, 9])]


def test_partitions_do_not_wait_for_each_other() -> None:
    turns = Turns()
    turns.add(OTHER, records(5))
    assert took(turns, behind={BOUGHT}) == [(OTHER, [5])]


def test_what_was_dropped_is_not_handed_out() -> None:
    turns = Turns()
    turns.add(BOUGHT, records(1))
    turns.add(CALLED, records(1))
    turns.clear(BOUGHT)
    assert took(turns, behind=set()) == [(CALLED, [1])]
    turns.add(BOUGHT, records(1))
    turns.clear()
    assert took(turns, behind=set()) == []


times = st.lists(st.integers(0, 50), max_size=60).map(sorted)


@given(st.lists(st.tuples(times, times), max_size=4), st.data())
def test_everything_is_handed_out_once_in_order_in_bounded_slices(
    fetches: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    turns, given_, found = Turns(), {BOUGHT: 0, CALLED: 0}, dict[TP, list[int]]()
    taken: list[tuple[TP, list[Arrived]]] = []
    for bought, called in fetches:
        for tp, timestamps in ((BOUGHT, bought), (CALLED, called)):
            turns.add(tp, [Arrived(t, given_[tp] + n) for n, t in enumerate(timestamps)])
            given_[tp] += len(timestamps)
        behind = data.draw(st.sets(st.sampled_from([BOUGHT, CALLED])))
        taken += turns.take({BOUGHT, CALLED}, behind.__contains__, 0.0)
    taken += turns.take({BOUGHT, CALLED}, lambda _tp: False, 0.0)
    for tp, slice_ in taken:
        assert 0 < len(slice_) <= MAX_SLICE
        found.setdefault(tp, []).extend(record.offset for record in slice_)
    assert found == {tp: list(range(count)) for tp, count in given_.items() if count}
