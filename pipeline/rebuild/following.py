"""Folding what the workers have committed, while they commit more."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from confluent_kafka import Consumer

from pipeline import kafka
from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppressions
from pipeline.kafka import record_of
from pipeline.kafka.incarnations import Bases
from pipeline.progress import OnStage
from pipeline.rebuild.refolded import Refolded
from pipeline.records import Record
from pipeline.topics import INPUTS

TOGETHER = 12_000
"""How many records are folded together."""
NEAR = 20_000
"""So few records left to fold are folded while the workers wait."""
Ends = Mapping[tuple[str, int], int]
"""Topic and partition, with the offset before which everything is folded."""


class Following:
    """Folds what the workers have committed."""

    def __init__(
        self,
        settings: Settings,
        reader: Consumer,
        parts: Sequence[Refolded],
        suppressions: Suppressions,
        progress: OnStage,
        bases: Bases,
    ) -> None:
        self._settings = settings
        self._bases = bases
        self._reader = reader
        self._parts = parts
        self._suppressed = suppressions.digests
        self._progress = progress
        self._folded = 0

    def until_near(self) -> None:
        """Fold until little is left; a worker that commits faster than this folds is not chased for ever."""
        before = None
        while True:
            ends = self.committed()
            left = self._left(ends)
            if left <= NEAR or (before is not None and left > before / 2):
                return
            before = left
            self.until(ends)

    def committed(self) -> Ends:
        """Before which offset the workers have processed everything."""
        offsets = kafka.committed(self._settings, self._settings.group("worker"), INPUTS)
        return {(topic, n): self._bases.get(topic, 0) + offset for (topic, n), offset in offsets.items()}

    def _left(self, ends: Ends) -> int:
        return sum(max(0, end - self._next(topic, partition)) for (topic, partition), end in ends.items())

    def _next(self, topic: str, partition: int) -> int:
        return self._parts[partition].processed.get(topic, -1) + 1

    def until(self, ends: Ends) -> None:
        """Fold everything before ``ends``, partition by partition."""
        of = self._folded + self._left(ends)
        for part in self._parts:
            for topic in INPUTS:
                end = ends.get((topic.name, part.partition), 0)
                for records in self._pieces(topic.name, part.partition, end):
                    part.fold(topic.name, records, self._suppressed)
                    self._folded += len(records)
                    self._progress("folding", self._folded, of)
                if end > 0:
                    part.processed[topic.name] = end - 1

    def _pieces(self, topic: str, partition: int, end: int) -> Iterator[list[Record]]:
        first = self._next(topic, partition)
        if first >= end:
            return
        name, base = self._settings.topic(topic), self._bases.get(topic, 0)
        log = kafka.read_range(self._reader, name, partition, first - base, end - base)
        records = (record_of(message, base) for message in log)
        while piece := list(islice(records, TOGETHER)):
            yield piece
