"""How far the slices of a partition are done: what may be committed."""

import time
from collections import deque
from dataclasses import dataclass

from faust.types import TP


@dataclass(slots=True)
class _Slice:
    first_appended_ms: int
    last_offset: int
    opened: float
    taken: bool = False
    finished: bool = False


class Ledger:
    """Slices in flight per partition, and how far the finished prefix reaches."""

    def __init__(self) -> None:
        self._slices: dict[TP, deque[_Slice]] = {}
        self._positions: dict[TP, int] = {}
        self._due: dict[TP, int] = {}

    def opened(self, tp: TP, first_appended_ms: int, last_offset: int) -> None:
        """A slice was handed to its agent."""
        self._slices.setdefault(tp, deque()).append(_Slice(first_appended_ms, last_offset, time.monotonic()))

    def finished(self, tp: TP, last_offset: int) -> bool:
        """Its agent is done with it; ``False`` when the slice is not known (any more)."""
        for slice_ in self._slices.get(tp, ()):
            if slice_.last_offset == last_offset:
                slice_.finished = True
                return True
        return False

    def committable(self, tp: TP) -> int | None:
        """The offset to commit: one after the finished prefix, or ``None``. Forgets that prefix."""
        slices = self._slices.get(tp, deque())
        offset = self._due.pop(tp, None)
        while slices and slices[0].finished:
            offset = self._positions[tp] = slices.popleft().last_offset + 1
        return offset

    def not_committed(self, tp: TP, offset: int) -> None:
        """A commit failed; it is due again, with what is finished by then."""
        self._due[tp] = offset

    def position(self, tp: TP) -> int | None:
        """The next offset that is not yet finished, when anything was finished at all."""
        position = self._positions.get(tp)
        for slice_ in self._slices.get(tp, ()):
            if not slice_.finished:
                break
            position = slice_.last_offset + 1
        return position

    def taken(self, tp: TP, last_offset: int) -> bool:
        """An agent got a slice; ``False`` when one that was handed out before it never got there."""
        for slice_ in self._slices.get(tp, ()):
            if slice_.last_offset == last_offset:
                slice_.taken = True
                return True
            if not slice_.taken:
                return not any(later.last_offset == last_offset for later in self._slices[tp])
        return True

    def oldest_ms(self, tp: TP) -> int | None:
        """When the oldest record in flight was appended, or ``None`` when nothing is in flight."""
        waiting = (slice_.first_appended_ms for slice_ in self._slices.get(tp, ()) if not slice_.finished)
        return next(waiting, None)

    def since(self, tp: TP) -> float | None:
        """Since when (monotonic) the oldest slice is in flight, ``None`` when none is."""
        return next((slice_.opened for slice_ in list(self._slices.get(tp, ())) if not slice_.finished), None)

    def partitions(self) -> list[TP]:
        """Partitions with slices in flight or waiting for their commit."""
        return list(self._slices)

    def forget(self, tp: TP | None = None) -> None:
        """Drop a partition, or all: they were revoked, or will be read again from the committed offset."""
        for known in [tp] if tp is not None else list(self._slices):
            self._slices.pop(known, None)
            self._positions.pop(known, None)
            self._due.pop(known, None)
