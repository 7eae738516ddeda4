"""The fuse of each topic: stops a topic of which an absurd share cannot be used; the others go on.

Single bad events cost only themselves. When most of a thousand events in a row cannot be used, what is wrong is not the
data but a deployment, of the producer or of this program: going on would turn a day's events into dead letters. What is
judged has not left the process: nothing of it becomes a dead letter, and it is read again when the topic goes on.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.errors import Reason
from pipeline.records import Slice, SliceStats

WINDOW = 1_000
"""Records of a topic over which the share is taken."""


class Blown(Exception):
    """Too much of a topic cannot be used."""

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"{topic} stands: {why}")
        self.topic = topic
        self.why = why


class _Share(NamedTuple):
    """Records, and why those among them that cannot be used cannot."""

    records: int
    rejected: Counter[Reason]
    assumed: bool = False
    """Nothing of it was read: the topic has to show that it can be used."""

    def is_absurd(self, percent: int) -> bool:
        return self.rejected.total() * 100 > self.records * percent


class Fuse:
    """Watches the share of rejected records of each topic."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._recent: dict[str, deque[_Share]] = {}

    def judge(self, slices: Sequence[Slice], seen: Sequence[SliceStats], passed: Sequence[int]) -> None:
        """Let slices pass, or name a topic before anything of it leaves the process. Nothing is remembered.

        Of each slice the first ``passed`` records are not judged: an operator let them through.

        Raises
        ------
        Blown
            Too many of the last :data:`WINDOW` records of a topic cannot be used, the newest among them.
        """
        now: dict[str, list[_Share]] = {}
        for slice_, share in zip(slices, _shares(slices, seen, passed), strict=True):
            now.setdefault(slice_.topic, []).append(share)
            window = _window([*self._recent.get(slice_.topic, ()), *now[slice_.topic]])
            together, read = _sum(window), _sum([one for one in window if not one.assumed])
            if together.records >= WINDOW and together.is_absurd(self._percent) and share.is_absurd(self._percent):
                worst, _ = read.rejected.most_common(1)[0]
                raise Blown(
                    slice_.topic,
                    f"{read.rejected.total()} of the last {read.records} records cannot be used, most for {worst}",
                )

    def note(self, slices: Sequence[Slice], seen: Sequence[SliceStats], passed: Sequence[int]) -> None:
        """Remember slices that passed."""
        for slice_, share in zip(slices, _shares(slices, seen, passed), strict=True):
            recent = self._recent.setdefault(slice_.topic, deque())
            recent.append(share)
            self._recent[slice_.topic] = deque(_window(recent))

    def expect_the_worst(self, topic: str) -> None:
        """The topic stands since before this process began: its next records are judged by themselves."""
        self._recent[topic] = deque([_Share(WINDOW, Counter({Reason.EMPTY: WINDOW}), assumed=True)])


def _shares(slices: Sequence[Slice], seen: Sequence[SliceStats], passed: Sequence[int]) -> Iterator[_Share]:
    for slice_, one, skipped in zip(slices, seen, passed, strict=True):
        bound = slice_.base + slice_.records[skipped].offset if skipped < len(slice_.records) else slice_.last + 1
        letters = (letter for letter in one.dead if letter.record.offset >= bound)
        yield _Share(len(slice_.records) - skipped, Counter(letter.reason for letter in letters))


def _window(shares: Sequence[_Share] | deque[_Share]) -> list[_Share]:
    """The newest shares that make up the window."""
    kept: list[_Share] = []
    total = 0
    for share in reversed(shares):
        if total >= WINDOW:
            break
        kept.append(share)
        total += share.records
    return kept[::-1]


def _sum(shares: Sequence[_Share]) -> _Share:
    return _Share(sum(s.records for s in shares), sum((s.rejected for s in shares), Counter[Reason]()))
