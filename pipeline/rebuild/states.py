"""``loyalty rebuild --states``: every state folded again from the events, beside the workers, and swapped.

The order carries the guarantee:

1. everything the workers have committed is folded into states of our own, and what they commit meanwhile; they go on
2. the workers are asked to leave, and those that start wait (:mod:`pipeline.worker.maintenance`)
3. once none is in their group, the rest up to their last commit is folded, and each state is compared with the live one
4. what differs is sent, partition by partition: first what the desk does not know yet, then the states
5. the workers go on from where they had committed

This is also what is done about a ``customer-states`` that was deleted and made again: nothing in it is live then, and
the last step says that it is the one to go on with. Until then no worker starts.

Killed before 4, nothing has changed. Killed in 4, some states are the new ones and some the old, all of them for the
same records; run again, it finishes. The desk hears only what differs from what it was told last
(:mod:`pipeline.core.reconciliation`): after a rebuild by the same rules, nothing.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from confluent_kafka import Consumer

from pipeline import continuity, kafka, logs
from pipeline.config import Settings
from pipeline.core.state.customer import is_newer
from pipeline.core.state.marks import is_piece, is_readable, merged
from pipeline.core.state.suppression import Suppressed, digest_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import Refused, Transient
from pipeline.kafka import record_of
from pipeline.kafka.incarnations import Bases
from pipeline.policy import policy_of
from pipeline.progress import OnStage
from pipeline.rebuild.refolded import Refolded, differences
from pipeline.records import Record
from pipeline.topics import INPUTS, STATES
from pipeline.worker.maintenance import SwapAnnouncement
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.stores import Store, Values

TOGETHER = 12_000
"""How many records are folded together."""
SENT_TOGETHER = 10_000
"""How many states are sent together."""
NEAR = 20_000
"""So few records left to fold are folded while the workers wait."""
LEAVING_SECONDS = 45.0
"""How long the workers may take: to hear of it, to finish what they have in hand, and for their session to end."""

Ends = Mapping[tuple[str, int], int]
"""Topic and partition, with the offset before which everything is folded."""
"""AlertReconciler what is done, how many of it are, and of how many."""


class Rebuilt(NamedTuple):
    """What a rebuild came to."""

    states: int = 0
    changed: int = 0
    """States that differed from the live ones, and were put into their place."""
    erased: int = 0
    """Live states of customers of whom no event makes one."""
    told: int = 0
    """Messages the desk got, because it had been told something else."""
    kept: int = 0
    """Live states that hold more than was committed; they stayed as they are."""
    waited: float = 0.0
    """Seconds for which no worker folded."""

    def plus(self, other: "Rebuilt") -> "Rebuilt":
        """What two parts of it came to together."""
        return Rebuilt(
            self.states + other.states,
            self.changed + other.changed,
            self.erased + other.erased,
            self.told + other.told,
            self.kept + other.kept,
            self.waited + other.waited,
        )


def check(settings: Settings, bases: Bases, *, forget_expired: bool) -> None:
    """Fail where states folded again would know less; see :func:`rebuild`."""
    gone = {key: low for key, (low, _) in kafka.end_offsets(settings, INPUTS).items() if low}
    if not forget_expired and (anew := [topic.name for topic in INPUTS if bases.get(topic.name)]):
        raise Refused(
            f"{', '.join(anew)} was deleted and made again: states folded again would forget the events that were in "
            "it before. Keep the states as they are, or, if that is meant: --forget-expired"
        )
    if gone and not forget_expired:
        (topic, partition), low = min(gone.items())
        raise Refused(
            f"events have left the topics ({sum(gone.values())} records, the first {low} of {topic}, partition "
            f"{partition}): states folded again would forget them. Keep the states as they are, or, if that is meant: "
            "--forget-expired"
        )


def rebuild(
    settings: Settings, store_of: Callable[[int], Store], progress: OnStage, *, forget_expired: bool = False
) -> Rebuilt:
    """Fold every state again and swap. ``store_of`` makes a partition's empty store.

    Raises
    ------
    Refused
        Events have left the topics, or the workers do not leave; the live states are as they were.
    Transient
        Kafka does not answer, or a worker came back; run again, it finishes.
    """
    logs.errors_only()
    kafka.verify_topics(settings)
    crash = CrashPoints.from_env(os.environ)
    policy, suppressions, parts = policy_of(settings), Suppressions(settings), list[Refolded]()
    try:
        found = continuity.look(settings, suppressions, ["worker"])
        continuity.check(settings, found, "worker", {}, excepted=[STATES.name])
        bases = found.known.bases()
        check(settings, bases, forget_expired=forget_expired)
        for n in range(settings.partitions):
            parts.append(Refolded(n, settings.partitions, _emptied(store_of(n)), policy, bases))
        with kafka.reading(settings, "rebuild", settings.group("rebuild")) as reader:
            follow = _Following(settings, reader, parts, suppressions, progress, bases)
            follow.until_near()  # 1
            crash.reached(Point.REFOLD_DONE)
            with SwapAnnouncement(settings) as announced:  # 2
                started = time.monotonic()
                wait_for_workers(settings)
                crash.reached(Point.REFOLD_ALONE)
                suppressions.read()
                follow.until(follow.committed())  # 3
                swap = _Swap(settings, reader, announced, suppressions.digests, crash)
                done = asyncio.run(swap.run(parts, progress))  # 4
                if STATES.name in found.others():
                    continuity.go_on_with(settings, found, STATES.name, crash)
                return done._replace(waited=time.monotonic() - started)
    finally:
        suppressions.close()
        for part in parts:
            part.store.drop()
            part.store.close()


def _emptied(store: Store) -> Store:
    store.drop()  # what a rebuild that was killed left there
    return store


def wait_for_workers(settings: Settings, seconds: float = LEAVING_SECONDS) -> None:
    """Wait until no worker is in the group; one with an instance name stays a member until its session is over.

    Raises
    ------
    Refused
        Some are.
    """
    if members := kafka.staying(settings, settings.group("worker"), seconds):
        raise Refused(f"{members} worker(s) did not leave within {seconds:.0f} s; are they of another version?")


class _Following:
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
        found = kafka.committed(self._settings, self._settings.group("worker"), INPUTS)
        return {(topic, n): self._bases.get(topic, 0) + offset for (topic, n), offset in found.items()}

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
        found = (record_of(message, base) for message in log)
        while piece := list(islice(found, TOGETHER)):
            yield piece


class _Swap:
    """Step 4."""

    def __init__(
        self,
        settings: Settings,
        reader: Consumer,
        announced: SwapAnnouncement,
        suppressed: Suppressed,
        crash: CrashPoints,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._announced = announced
        self._suppressed = suppressed
        self._crash = crash

    async def run(self, parts: Sequence[Refolded], progress: OnStage) -> Rebuilt:
        """Every partition, one after the other."""
        outputs = KafkaOutputs(self._settings, CrashPoints())
        done = Rebuilt()
        for number, part in enumerate(parts, start=1):
            one = await self._partition(part, outputs)
            done = done.plus(one)
            progress("swapping", number, len(parts))
        return done

    async def _partition(self, part: Refolded, outputs: KafkaOutputs) -> Rebuilt:
        live = self._live(part.partition)
        news, kept = part.settle(self._settings, live)
        told = [item for item in news if digest_of(item.alert.customer_id.encode()) not in self._suppressed]
        found = differences(part.store, live, kept, self._suppressed)
        self._check_alone()
        if told:
            await outputs.effects(part.partition, told, [])
        self._crash.reached(Point.REFOLD_TOLD)
        gone: Values = dict.fromkeys([*found.erased, *found.anew])
        for values in (gone, found.pieces, found.changed, dict.fromkeys(found.left)):
            await self._send(part.partition, values, outputs)
        return Rebuilt(len(part.store), len(found.changed), len(found.erased), len(told), len(kept))

    async def _send(self, partition: int, values: Values, outputs: KafkaOutputs) -> None:
        remaining = iter(values.items())
        while piece := dict(islice(remaining, SENT_TOGETHER)):
            self._announced.check()
            await outputs.states(partition, piece)
            self._crash.reached(Point.REFOLD_SENT)

    def _live(self, partition: int) -> dict[bytes, bytes]:
        """The live states and pieces of a partition, read from the changelog."""
        live: dict[bytes, bytes] = {}
        for record in kafka.read_range(self._reader, self._settings.topic(STATES.name), partition, 0):
            key, value = record.key(), record.value()
            if key is None:
                continue
            if value is None:
                live.pop(key, None)
            elif is_piece(key):
                if is_readable(value):
                    live[key] = merged(live.get(key, b""), value)
            elif key not in live or is_newer(value, live[key]):
                live[key] = value
        return live

    def _check_alone(self) -> None:
        self._announced.check()
        if members := kafka.members(self._settings, self._settings.group("worker")):
            raise Transient(f"{members} worker(s) came back while states were swapped; run it again, it goes on")
