"""Which topics stand, here and in every other worker, and that they go on when an operator says so.

A topic that stands is neither fetched nor waited for, and its offset is not committed. Who stops one says so first
(:mod:`pipeline.kafka.stopped_inputs`), then the others hear of it. To go on, workers start again: they read everything
from where it was committed.
"""

import asyncio
import os
import signal
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter

import structlog

from pipeline.config import Settings
from pipeline.errors import Transient
from pipeline.kafka.stopped_inputs import Notice, Stopped, stands
from pipeline.records import Slice, SliceStats
from pipeline.topics import INPUTS
from pipeline.worker.guards.fuse import Blown, Fuse
from pipeline.worker.reading import patiently

ALL_PASS = 100
"""The percentage at which nothing is ever stopped."""


class Fuses:
    """The fuses of all topics. ``tell`` is told about each topic whether it stands."""

    def __init__(self, settings: Settings, notice: Notice, tell: Callable[[str, bool], None]) -> None:
        self._notice = notice
        self._tell = tell
        self._fuse = Fuse(settings.fuse_percent)
        self._lock = asyncio.Lock()
        self._log = structlog.get_logger()
        self.standing: dict[str, str] = {}
        """Topics that stand, with the reason."""
        self.going_on = False
        """A topic goes on with the next start."""
        self._said = self._begin(settings)
        for topic in INPUTS:
            tell(topic.name, topic.name in self.standing)

    def _begin(self, settings: Settings) -> Stopped:
        notice = self._notice.read()
        if settings.fuse_percent == ALL_PASS:
            for topic in notice.why:
                self._notice.go_on(topic, let_through=False)
            return notice._replace(why={})
        self._take(notice)
        for topic in notice.again:
            self._fuse.expect_the_worst(topic)
        return notice

    def judge(self, slices: Sequence[Slice], seen: Sequence[SliceStats]) -> None:
        """Raise :class:`Blown` where a topic must stand, before anything of it leaves the process.

        What passes counts from now on: other partitions are judged while this one's results are on their way.
        """
        passed = list(map(self._passed, slices))
        self._fuse.judge(slices, seen, passed)
        self._fuse.note(slices, seen, passed)

    def _passed(self, slice_: Slice) -> int:
        """How many of its records an operator let through."""
        bound = self._said.through.get((slice_.topic, slice_.partition), 0)
        return bisect_left(slice_.records, bound, key=attrgetter("offset")) if bound else 0

    async def stop(self, blown: Blown) -> None:
        """Let a topic stand, in every worker; returns when all can know."""
        async with self._lock:
            await patiently(self._notice.stop, blown.topic, blown.why)
            self._stand(blown.topic, blown.why)

    async def watch(self) -> None:
        """Hear what others say: topics that stand, and those that go on."""
        async with self._lock:
            try:
                notice = await asyncio.to_thread(self._notice.read)
            except Transient:
                return  # away; there is a next time
            self._take(notice)
            goes_on = sorted(self.standing.keys() - notice.why.keys())
        if goes_on and not self.going_on:
            self._log.warning("a topic goes on; starting again for it", topic=goes_on[0])
            self.going_on = True
            os.kill(os.getpid(), signal.SIGTERM)  # finishes what is in hand

    def _take(self, notice: Stopped) -> None:
        for topic, why in notice.why.items():
            if topic not in self.standing:
                self._stand(topic, why)

    def _stand(self, topic: str, why: str) -> None:
        self.standing[topic] = why
        self._log.error(str(stands(topic, why)))
        self._tell(topic, True)
