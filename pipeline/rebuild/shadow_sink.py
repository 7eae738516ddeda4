"""A sink of its own group that fills a shadow: the same steps and the same promises as the live one."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import not_

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline import continuity, kafka, metrics
from pipeline.config import Settings
from pipeline.continuity import Topics
from pipeline.crashpoints import CrashPoints
from pipeline.errors import Refused, Transient
from pipeline.kafka.membership import PartitionsRevoked
from pipeline.rebuild.shadow import Offsets, Shadow
from pipeline.sink.app import GROUP, WRITERS, Sink
from pipeline.sink.batches import BatchPolicy
from pipeline.sink.open_intents import intents
from pipeline.topics import TOPICS
from pipeline.waiting import Steady, wait_until
from pipeline.warehouse.client import Connecting

LEAVING_SECONDS = 60.0
"""How long sinks have to end their batch and leave; one with an instance name stays until its session is over."""
ALONE_SECONDS = 3.0
"""How long nobody must be in the group before it counts as empty."""


class Filling:
    """The shadow's sink while it works."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="filling", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sink.run()
        except PartitionsRevoked:
            pass  # stopped while it waited; its batch is written when it goes on
        except BaseException as failed:  # check fails as it failed, whatever that was
            self._failure = failed

    def check(self) -> None:
        """Fail as it failed."""
        if isinstance(self._failure, KafkaException):
            raise Transient(f"Kafka ended the rebuild's membership: {self._failure.args[0].str()}; run it again")
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise Transient("the rebuild's sink ended; run it again, it goes on")

    def stop(self) -> None:
        """Finish the batch in hand."""
        self._sink.stop()
        self._thread.join()


@contextmanager
def filling(shadow: Shadow, connecting: Connecting, topics: Topics) -> Iterator[Filling]:
    """A sink that fills the shadow for as long as the block lasts."""
    facts = metrics.SinkMetrics(metrics.registry("rebuild"))
    warehouses = [connecting(shadow.settings) for _ in range(WRITERS)]
    sink = Sink(shadow.settings, facts, warehouses, BatchPolicy(), CrashPoints(), topics, {}, shadow.group)
    running = Filling(sink)
    try:
        yield running
    finally:
        running.stop()
        for warehouse in warehouses:
            warehouse.close()


def filled(settings: Settings, group: str) -> dict[tuple[str, int], int]:
    """Before which offset everything is written, for every partition that was begun."""
    return kafka.committed(settings, settings.group(group), TOPICS)


def follow(
    shadow: Shadow, running: Filling, goal: Callable[[], Offsets], progress: Callable[[int, int], object]
) -> None:
    """Wait until the shadow holds everything before ``goal``; ``progress`` is told how much it does, of how much."""
    firsts = {key: low for key, (low, _) in kafka.end_offsets(shadow.settings, TOPICS).items()}

    def left() -> int:
        running.check()
        wanted, written = goal(), filled(shadow.settings, shadow.group)
        missing = sum(max(0, end - written.get(key, firsts.get(key, 0))) for key, end in wanted.items())
        whole = sum(max(0, end - firsts.get(key, 0)) for key, end in wanted.items())
        progress(whole - missing, whole)
        return missing

    wait_until(left, not_, seconds=None, pause=0.3)


def has_intents(settings: Settings, group: str) -> bool:
    """Whether a batch was begun and not finished."""
    return bool(intents(settings, group, 30.0))


def wait_for_sinks(settings: Settings, seconds: float = LEAVING_SECONDS) -> None:
    """Return once nobody is in the group of the sinks.

    Raises
    ------
    Refused
        Somebody stays.
    """
    end, steady = time.monotonic() + seconds, Steady()

    def is_alone() -> bool:
        members = kafka.members(settings, settings.group(GROUP))
        alone = steady.seconds(not members)
        if members and time.monotonic() > end:
            raise Refused(f"{members} sink(s) do not leave; stop them, run this again, and start them afterwards")
        return not members and alone >= ALONE_SECONDS

    wait_until(is_alone, seconds=None, pause=0.3)


def hand_over(settings: Settings, offsets: Offsets) -> None:
    """The sinks go on where the shadow's sink stopped: that is what the tables hold now.

    Raises
    ------
    Transient
        The broker does not take it, for instance because a sink came back meanwhile.
    """
    places = [TopicPartition(settings.topic(topic), n, offset, "") for (topic, n), offset in offsets.items()]
    continuity.commit(settings, GROUP, places)


def forget(settings: Settings, group: str) -> None:
    """Remove a group that is not needed any more; one that stays does no harm."""
    client = kafka.admin(settings)  # must outlive its future
    try:
        client.delete_consumer_groups([settings.group(group)], request_timeout=10)[settings.group(group)].result(10)
    except KafkaException as failed:
        if failed.args[0].code() not in (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.NON_EMPTY_GROUP):
            return
