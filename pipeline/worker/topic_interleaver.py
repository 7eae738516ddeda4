"""Interleaves the topics of a partition by the time at which the broker received their records.

A worker that is behind fetches each topic at its own pace. Left to that, contacts of a week would be folded before the
purchases of that week: right in the end, but with alerts on the way that nobody needed. So a topic waits for those that
are behind it in time, as long as they have more; a topic that has nothing holds nobody up. This is a courtesy, not a
guarantee: states do not depend on order, and after :data:`PATIENCE_SECONDS` nobody is waited for.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

from faust.types import TP

MAX_SLICE = 6_000
PATIENCE_SECONDS = 0.5

_by_time: Callable[[Any], int] = attrgetter("timestamp")


class Turns:
    """Records that were fetched and not yet handed out."""

    def __init__(self) -> None:
        self._held: dict[TP, list[Any]] = {}
        self._waiting_since: dict[int, float] = {}

    def add(self, tp: TP, records: list[Any]) -> None:
        """Records of a topic partition, behind those it had."""
        self._held.setdefault(tp, []).extend(records)

    def clear(self, tp: TP | None = None) -> None:
        """Drop what is held of a topic partition, or of all."""
        for known in [tp] if tp is not None else list(self._held):
            self._held.pop(known, None)

    def take(
        self, assigned: Iterable[TP], has_more: Callable[[TP], bool], now: float
    ) -> Iterator[tuple[TP, list[Any]]]:
        """The slices whose turn it is. ``has_more`` says whether the broker has records behind those fetched."""
        neighbours: defaultdict[int, list[TP]] = defaultdict(list)
        for tp in sorted(assigned):
            neighbours[tp.partition].append(tp)
        for partition, tps in neighbours.items():
            held = [tp for tp in tps if self._held.get(tp)]
            if not held:
                self._waiting_since.pop(partition, None)
                continue
            behind = [tp for tp in tps if has_more(tp)]
            if any(tp not in held for tp in behind):
                if now - self._waiting_since.setdefault(partition, now) < PATIENCE_SECONDS:
                    continue
                behind = []
            self._waiting_since.pop(partition, None)
            until = min((self._held[tp][-1].timestamp for tp in behind), default=None)
            yield from self._slices({tp: self._release(tp, until) for tp in held})

    def _release(self, tp: TP, until: int | None) -> list[Any]:
        records = self._held[tp]
        end = len(records) if until is None else bisect_right(records, until, key=_by_time)
        self._held[tp] = records[end:]
        return records[:end]

    def _slices(self, released: dict[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
        """Cut where the longest is a slice long, so that the others keep up with it."""
        begun = dict.fromkeys(released, 0)
        while left := {tp: len(records) - begun[tp] for tp, records in released.items() if begun[tp] < len(records)}:
            longest = max(left, key=left.__getitem__)
            last = min(begun[longest] + MAX_SLICE, len(released[longest])) - 1
            until = released[longest][last].timestamp
            for tp in left:
                first, records = begun[tp], released[tp]
                end = last + 1 if tp == longest else bisect_right(records, until, lo=first, key=_by_time)
                end = min(end, first + MAX_SLICE)
                begun[tp] = end
                if end > first:
                    yield tp, records[first:end]
