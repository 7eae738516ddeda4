"""The fuse: bad data passes, a wrong deployment does not."""

from collections.abc import Sequence

import pytest

from pipeline.errors import Reason
from pipeline.records import DeadLetter, Record, Slice, SliceStats
from pipeline.worker.guards.fuse import Blown, Fuse

RECORD = Record(0, 0, b"k", b"v", ())


def taken(good: int, bad: int, topic: str = "purchases") -> tuple[Slice, SliceStats]:
    """A slice that begins with its ``bad`` records."""
    records = [RECORD._replace(offset=n) for n in range(good + bad)]
    dead = [DeadLetter(topic, 0, record, Reason.UNPARSEABLE, "") for record in records[:bad]]
    return Slice(topic, 0, 4, records), SliceStats(dead=dead)


def accept(fuse: Fuse, good: int, bad: int, topic: str = "purchases", passed: int = 0) -> None:
    slice_, seen = taken(good, bad, topic)
    fuse.judge([slice_], [seen], [passed])
    fuse.note([slice_], [seen], [passed])


def test_bad_data_among_good_passes() -> None:
    fuse = Fuse(50)
    for _ in range(20):
        accept(fuse, good=100, bad=99)


def test_a_few_bad_records_at_the_start_pass() -> None:
    accept(Fuse(50), good=0, bad=999)


def test_a_thousand_bad_records_in_a_row_stop_their_topic_and_the_line_names_the_reason() -> None:
    fuse = Fuse(50)
    accept(fuse, good=5_000, bad=0)
    with pytest.raises(Blown, match=r"purchases stands: 5100 of the last 5100 records .* unparseable") as blown:
        accept(fuse, good=0, bad=5_100)
    assert blown.value.topic == "purchases"


def test_topics_are_counted_apart() -> None:
    fuse = Fuse(50)
    accept(fuse, good=0, bad=900)
    accept(fuse, good=0, bad=900, topic="surveys")


def test_slices_that_are_judged_together_count_together_and_judging_remembers_nothing() -> None:
    fuse = Fuse(50)
    together: Sequence[tuple[Slice, SliceStats]] = [taken(0, 600), taken(600, 0, "surveys"), taken(0, 600)]
    slices, seen = [s for s, _ in together], [s for _, s in together]
    for _ in range(3):
        with pytest.raises(Blown, match="purchases"):
            fuse.judge(slices, seen, [0, 0, 0])
    fuse.judge(slices[:2], seen[:2], [0, 0])


def test_good_records_after_bad_ones_pass() -> None:
    fuse = Fuse(50)
    accept(fuse, good=0, bad=999)
    accept(fuse, good=1, bad=0)
    with pytest.raises(Blown):
        accept(fuse, good=0, bad=1)


def test_what_an_operator_let_through_is_not_judged() -> None:
    fuse = Fuse(50)
    accept(fuse, good=0, bad=5_000, passed=5_000)
    accept(fuse, good=500, bad=5_000, passed=5_000)
    with pytest.raises(Blown):
        accept(fuse, good=0, bad=5_000, passed=4_000)


def test_a_topic_that_stood_has_to_show_first_that_it_can_be_used() -> None:
    fuse = Fuse(50)
    fuse.expect_the_worst("purchases")
    accept(fuse, good=3, bad=0)
    with pytest.raises(Blown, match=r"1 of the last 4 records cannot be used, most for unparseable"):
        accept(fuse, good=0, bad=1)
    accept(fuse, good=0, bad=1, topic="surveys")


def test_it_can_be_told_to_let_everything_pass() -> None:
    for _ in range(5):
        accept(Fuse(100), good=0, bad=1_000)
