"""Fuses of all topics: partitions that are worked off side by side count together."""

from typing import Any, cast

import pytest

from pipeline.config import Settings
from pipeline.kafka.stopped_inputs import Stopped
from pipeline.worker.guards.fuse import Blown
from pipeline.worker.guards.fuses import Fuses
from tests.worker.guards.test_fuse import taken


class Said:
    """A notice on which nothing is written."""

    def read(self) -> Stopped:
        return Stopped({}, frozenset(), {("purchases", 0): 500})


def test_what_passes_counts_at_once_although_its_results_are_still_on_their_way() -> None:
    fuses = Fuses(Settings(), cast(Any, Said()), lambda _topic, _stands: None)
    slice_, seen = taken(0, 600)
    fuses.judge([slice_._replace(partition=1)], [seen])
    with pytest.raises(Blown):
        fuses.judge([slice_._replace(partition=2)], [seen])


def test_what_was_let_through_in_a_partition_does_not_count() -> None:
    fuses = Fuses(Settings(), cast(Any, Said()), lambda _topic, _stands: None)
    slice_, seen = taken(0, 600)
    for _ in range(9):
        fuses.judge([slice_], [seen])
    with pytest.raises(Blown):
        fuses.judge([slice_], [seen])
