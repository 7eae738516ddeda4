"""How far the log is certain to be in the warehouse: what an audit may judge while records keep coming.

Everything is asked in this order, and each answer bounds the next:

1. up to where the workers have committed: every event below is counted by a state, and that state lies in the log
2. up to where the sinks have committed the events: every event below has its row, or its letter lies in the log
3. where the log of states ends, then where that of dead letters does: a letter is confirmed before the state that
   passed over its record
4. wait until the sinks have written up to there; what they do not reach in time is not judged
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline import kafka
from pipeline.config import Settings
from pipeline.kafka.incarnations import Bases, shifted
from pipeline.topics import DEAD_LETTERS, INPUTS, STATES
from pipeline.waiting import wait_until

SECONDS = 15.0
"""How long the sinks may take to write what is in the log of states now."""
Ends = Mapping[tuple[str, int], int]
"""Topic and partition, with the offset below which something holds."""
PAUSE = 0.2


class Cut(NamedTuple):
    """Bounds by topic and partition; a partition that is missing in one of them has nothing below it."""

    written: Ends
    """Every event below has its row in the warehouse, or a letter there."""
    folded: Ends
    """Every event below is counted by a state in the warehouse, or has a letter there."""
    states: Ends
    """Every state below, by its own offset, is in the warehouse, and the letters of before it are."""


def taken(settings: Settings, bases: Bases, seconds: float = SECONDS, group: str = "sink") -> Cut:
    """A cut through log and warehouse as they are now; takes up to ``seconds`` while sinks are behind.

    ``bases``: what is added to the broker's offsets; in a cut they are ours, as in rows and states.

    Raises
    ------
    Transient
        The broker does not answer.
    """
    folded = kafka.committed(settings, settings.group("worker"), INPUTS)  # 1
    written = kafka.committed(settings, settings.group(group), INPUTS)  # 2
    ends = {key: end for key, (_, end) in kafka.end_offsets(settings, [STATES]).items()}  # 3
    letters = {key: end for key, (_, end) in kafka.end_offsets(settings, [DEAD_LETTERS]).items()}
    goals = ends | letters
    reached = _reached(settings, settings.group(group), goals, seconds)  # 4
    late = {key for key, end in goals.items() if reached.get(key, 0) < end}
    sure = {p for topic, p in ends if (topic, p) not in late} if not late & letters.keys() else set()
    return Cut(
        shifted(written, bases),
        shifted({key: end for key, end in folded.items() if key[1] in sure}, bases),
        shifted({key: end for key, end in ends.items() if key[1] in sure}, bases),
    )


def _reached(settings: Settings, group: str, goals: Ends, seconds: float) -> Ends:
    """Where a group stands once it is past all goals, or when time is up."""
    return wait_until(
        lambda: kafka.committed(settings, group, [STATES, DEAD_LETTERS]),
        lambda reached: all(reached.get(key, 0) >= goal for key, goal in goals.items()),
        seconds=seconds,
        pause=PAUSE,
    )
