"""The fuse: bad data passes, a wrong deployment does not."""

import pytest

from pipeline.errors import Reason, Refused
from pipeline.flow import DeadLetter, Record, Seen, Slice
from pipeline.worker.fuse import Fuse

RECORD = Record(0, 0, b"k", b"v", ())


def accept(fuse: Fuse, good: int, bad: int, topic: str = "purchases") -> None:
    dead = [DeadLetter(topic, 0, RECORD, Reason.UNPARSEABLE, "")] * bad
    fuse.accept(Slice(topic, 0, 4, [RECORD] * (good + bad)), Seen(dead=dead))


def test_bad_data_among_good_passes() -> None:
    fuse = Fuse(50)
    for _ in range(20):
        accept(fuse, good=100, bad=99)


def test_a_few_bad_records_at_the_start_pass() -> None:
    accept(Fuse(50), good=0, bad=999)


def test_a_thousand_bad_records_in_a_row_stop_the_worker_and_the_line_names_reason_and_remedy() -> None:
    fuse = Fuse(50)
    accept(fuse, good=5_000, bad=0)
    with pytest.raises(Refused, match=r"purchases .* unparseable: .* LOYALTY_FUSE_PERCENT"):
        accept(fuse, good=0, bad=5_100)


def test_topics_are_counted_apart() -> None:
    fuse = Fuse(50)
    accept(fuse, good=0, bad=900)
    accept(fuse, good=0, bad=900, topic="surveys")


def test_it_can_be_told_to_let_everything_pass() -> None:
    for _ in range(5):
        accept(Fuse(100), good=0, bad=1_000)
