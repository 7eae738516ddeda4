"""Accepts a topic that was deleted and created again, or records that expired before they were read.

Nothing is taken back: results of the old records stay in states, alerts and tables, distinguishable from the new ones
(:mod:`pipeline.kafka.incarnations`). The order carries the guarantee; killed at any step, it is repeated:

1. workers and sinks have left their groups
2. the list of erased customers, if it is what was made again, is filled from the warehouse
3. records that are gone are written down as given up; the workers go on behind them
4. the groups go to the beginning of a topic that was made again
5. its id is remembered as the topic's newest; from here on workers and sinks start
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline import continuity, kafka
from pipeline.config import Settings
from pipeline.continuity import READERS, TopicsFound
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppression, Suppressions, put
from pipeline.errors import Refused
from pipeline.kafka import topic_refusals
from pipeline.kafka.incarnations import Incarnation
from pipeline.kafka.topic_refusals import Gone
from pipeline.sink import lineage
from pipeline.topics import BY_NAME, STATES, SUPPRESSED
from pipeline.warehouse.client import Warehouse, connect

LEAVING_SECONDS = 15.0
"""How long workers and sinks that were stopped may still be members: a killed one is until its session ends."""
_SUPPRESSIONS = """
    SELECT customer_sha256, max(suppressed_at), argMax(reason, suppressed_at), argMax(receipt_id, suppressed_at)
    FROM suppressions GROUP BY customer_sha256
"""


class TopicAcceptance(NamedTuple):
    """What was accepted of a topic."""

    anew: bool
    """It is another topic, and everything in it is new."""
    gone: Sequence[Gone]
    """Records that were given up."""
    restored: int = 0
    """Erased customers who were put on the list again."""


def accept(settings: Settings, topic: str) -> TopicAcceptance:
    """Accept a topic as it is now.

    Raises
    ------
    Refused
        There is no such topic, workers or sinks run, or another command is the right one.
    Transient
        Kafka or the warehouse does not answer; run again, it goes on.
    """
    if topic not in BY_NAME:
        raise Refused(f"there is no topic {topic!r}; `loyalty topics list` shows them")
    kafka.verify_topics(settings)
    with contextlib.closing(connect(settings)) as warehouse, contextlib.closing(Suppressions(settings)) as list_:
        positions = continuity.look(settings, list_)
        if topic == STATES.name and topic in positions.others():
            raise topic_refusals.again(settings, topic)
        strange = topic in positions.others() or topic in lineage.others(settings, warehouse, positions.known)
        gone = [] if topic in positions.others() else list(_gone(positions, warehouse, topic))
        if not strange and not gone:
            return TopicAcceptance(False, [])
        _check_alone(settings)  # 1
        return _accept(settings, warehouse, positions, topic, strange, gone)


def _accept(
    settings: Settings, warehouse: Warehouse, positions: TopicsFound, topic: str, strange: bool, gone: Sequence[Gone]
) -> TopicAcceptance:
    crash = CrashPoints.from_env(os.environ)
    stored = lineage.incarnations(warehouse)
    restored = _restore(settings, warehouse, positions, stored) if strange and topic == SUPPRESSED.name else 0  # 2
    crash.reached(Point.ACCEPT_RESTORED)
    lineage.give_up(warehouse, gone, positions.known.bases())  # 3
    crash.reached(Point.ACCEPT_GIVEN_UP)
    continuity.skip(settings, [one for one in gone if one.reader == "worker"])
    if strange:
        after = stored[topic].number if topic in stored else -1
        continuity.go_on_with(settings, positions, topic, crash, after)  # 4, 5
        crash.reached(Point.ACCEPT_REMEMBERED)
    if topic == SUPPRESSED.name:
        continuity.remember_list(settings, positions.ids[topic])
    return TopicAcceptance(strange, gone, restored)


def _gone(positions: TopicsFound, warehouse: Warehouse, topic: str) -> Iterator[Gone]:
    """What was lost and not given up yet: a sink goes by what the warehouse says, a worker by its commits."""
    passed = {"worker": {}, "sink": lineage.passed(warehouse, "sink")}
    for reader, accepted in passed.items():  # a notifier goes on by itself: what left the topic is too old for a desk
        yield from (one for one in positions.gone(reader, accepted) if one.topic == topic)


def _check_alone(settings: Settings) -> None:
    for process in READERS:
        if running := kafka.staying(settings, settings.group(process), LEAVING_SECONDS):
            raise Refused(f"{running} {process}(s) run. Stop workers, sinks and notifiers, and run this again")


def _restore(settings: Settings, warehouse: Warehouse, positions: TopicsFound, stored: dict[str, Incarnation]) -> int:
    """Fill the list from the warehouse: who was erased, and the ids of the other topics."""
    rows = warehouse.query(_SUPPRESSIONS).rows
    put(settings, {str(digest): Suppression(at, str(why), str(receipt)) for digest, at, why, receipt in rows})
    lacking = {t: one for t, one in stored.items() if positions.known.newest(t) is None and t != SUPPRESSED.name}
    continuity.remember(settings, lacking)
    return len(rows)
