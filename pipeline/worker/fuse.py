"""The fuse: ends a worker that rejects an absurd share of what it reads.

Single bad events cost only themselves. When most of a thousand events in a row cannot be used, what is wrong is not the
data but a deployment, of the producer or of this program: going on would turn a day's events into dead letters.
"""

from collections import Counter, deque

from pipeline.errors import Reason, Refused
from pipeline.flow import Seen, Slice

WINDOW = 1_000
"""Records of a topic over which the share is taken."""


class Fuse:
    """Watches the share of rejected records of each topic."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._recent: dict[str, deque[tuple[int, Counter[Reason]]]] = {}

    def accept(self, slice_: Slice, seen: Seen) -> None:
        """Let a slice pass, or refuse it before anything of it leaves the process.

        Raises
        ------
        Refused
            Too many of the last :data:`WINDOW` records of its topic cannot be used.
        """
        recent = self._recent.setdefault(slice_.topic, deque())
        recent.append((len(slice_.records), Counter(letter.reason for letter in seen.dead)))
        total = sum(count for count, _ in recent)
        while total - recent[0][0] >= WINDOW:
            total -= recent.popleft()[0]
        reasons = sum((rejected for _, rejected in recent), Counter[Reason]())
        if total >= WINDOW and reasons.total() * 100 > total * self._percent:
            worst, _ = reasons.most_common(1)[0]
            raise Refused(
                f"{reasons.total()} of the last {total} records of {slice_.topic} cannot be used, most for {worst}: "
                "this looks like a wrong deployment, not like bad data. Mend it and start again, nothing is skipped; "
                "or let them become dead letters with LOYALTY_FUSE_PERCENT=100"
            )
