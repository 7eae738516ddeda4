"""``loyalty rebuild --states``: every state folded again from the events while the workers go on, and swapped.

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
from collections.abc import Callable, Sequence
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
from pipeline.kafka.incarnations import Bases
from pipeline.policy import policy_of
from pipeline.progress import OnStage
from pipeline.rebuild.following import Following
from pipeline.rebuild.refolded import Refolded, differences
from pipeline.topics import INPUTS, STATES
from pipeline.worker.maintenance import SwapAnnouncement
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.stores import Store, Values

SENT_TOGETHER = 10_000
"""How many states are sent together."""
LEAVING_SECONDS = 45.0
"""How long the workers may take: to hear of it, to finish what they have in hand, and for their session to end."""


class RebuiltStates(NamedTuple):
    """The result of a rebuild."""

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

    def plus(self, other: "RebuiltStates") -> "RebuiltStates":
        """The result of two parts together."""
        return RebuiltStates(
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
    if not forget_expired and (recreated := [topic.name for topic in INPUTS if bases.get(topic.name)]):
        raise Refused(
            f"{', '.join(recreated)} was deleted and made again: states folded again would forget the events that "
            "were in it before. Keep the states as they are, or, if that is meant: --forget-expired"
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
) -> RebuiltStates:
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
        topics = continuity.look(settings, suppressions, ["worker"])
        continuity.check(settings, topics, "worker", {}, excepted=[STATES.name])
        bases = topics.known.bases()
        check(settings, bases, forget_expired=forget_expired)
        for n in range(settings.partitions):
            parts.append(Refolded(n, settings.partitions, _emptied(store_of(n)), policy, bases))
        with kafka.reading(settings, "rebuild", settings.group("rebuild")) as reader:
            follow = Following(settings, reader, parts, suppressions, progress, bases)
            follow.until_near()  # 1
            crash.reached(Point.REFOLD_DONE)
            with SwapAnnouncement(settings) as announced:  # 2
                started = time.monotonic()
                wait_for_workers(settings)
                crash.reached(Point.REFOLD_ALONE)
                suppressions.read()
                follow.until(follow.committed())  # 3
                swap = _Swap(settings, reader, announced, suppressions.digests, crash)
                rebuilt = asyncio.run(swap.run(parts, progress))  # 4
                if STATES.name in topics.others():
                    continuity.go_on_with(settings, topics, STATES.name, crash)
                return rebuilt._replace(waited=time.monotonic() - started)
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

    async def run(self, parts: Sequence[Refolded], progress: OnStage) -> RebuiltStates:
        """Every partition, one after the other."""
        outputs = KafkaOutputs(self._settings, CrashPoints())
        rebuilt = RebuiltStates()
        for number, part in enumerate(parts, start=1):
            one = await self._partition(part, outputs)
            rebuilt = rebuilt.plus(one)
            progress("swapping", number, len(parts))
        return rebuilt

    async def _partition(self, part: Refolded, outputs: KafkaOutputs) -> RebuiltStates:
        live = self._live(part.partition)
        news, kept = part.settle(self._settings, live)
        updates = [item for item in news if digest_of(item.alert.customer_id.encode()) not in self._suppressed]
        differing = differences(part.store, live, kept, self._suppressed)
        self._check_alone()
        if updates:
            await outputs.effects(part.partition, updates, [])
        self._crash.reached(Point.REFOLD_TOLD)
        gone: Values = dict.fromkeys([*differing.erased, *differing.recreated])
        for values in (gone, differing.pieces, differing.changed, dict.fromkeys(differing.left)):
            await self._send(part.partition, values, outputs)
        return RebuiltStates(len(part.store), len(differing.changed), len(differing.erased), len(updates), len(kept))

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
