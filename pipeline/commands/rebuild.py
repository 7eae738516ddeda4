"""``loyalty rebuild``: fold every state again from the events.

Nobody is told anything twice: the worker holds news back until it is where the last one was, and tells the difference.

The order carries the guarantee:

1. no worker runs
2. the group goes back to the first records; the commit remembers how far it had been
3. the states are erased

Interrupted after 2, the states that are left know which records they hold; run again, it finishes.
"""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, TopicPartition

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Refused, Transient
from pipeline.notes import note_of, read_note
from pipeline.topics import INPUTS, STATES

SECONDS = 30.0
LEAVING_SECONDS = 12.0


def rebuild(settings: Settings, progress: Callable[[int], None], *, forget_expired: bool = False) -> int:
    """Send the workers' group back to the beginning and erase the states; returns how many were erased.

    Raises
    ------
    Refused
        A worker is running, or events have left the topics, which nobody could fold again.
    """
    check(settings, forget_expired=forget_expired)
    with kafka.reading(settings, "rebuild", settings.group("worker")) as reader:
        _go_back(settings, reader)
        return _erase(settings, reader, progress)


def check(settings: Settings, *, forget_expired: bool) -> None:
    """Fail where the states must not be erased; see :func:`rebuild`."""
    gone = {key: low for key, (low, _) in kafka.end_offsets(settings, INPUTS).items() if low}
    if gone and not forget_expired:
        (topic, partition), low = min(gone.items())
        raise Refused(
            f"events have left the topics ({sum(gone.values())} records, the first {low} of {topic}, partition "
            f"{partition}): states folded again would forget them. Keep the states as they are, or, if that is meant: "
            "--forget-expired"
        )
    _check_no_worker(settings)


def _check_no_worker(settings: Settings) -> None:
    """A worker with an instance name stays a member until its session is over; that is waited for."""
    end = time.monotonic() + LEAVING_SECONDS
    while members := kafka.members(settings, settings.group("worker")):
        if time.monotonic() > end:
            raise Refused(f"{members} worker(s) run; stop them first, and start them again afterwards")
        time.sleep(0.5)


def _go_back(settings: Settings, reader: Consumer) -> None:
    places = [TopicPartition(settings.topic(t.name), n) for t in INPUTS for n in range(settings.partitions)]
    back = []
    for found in reader.committed(places, timeout=SECONDS):
        low, _ = reader.get_watermark_offsets(found, timeout=SECONDS)
        _, until = read_note(found.metadata)
        reached = max(found.offset - 1, -1 if until is None else until)
        if reached >= low:
            back.append(TopicPartition(found.topic, found.partition, low, note_of(0, reached)))
    if back:
        reader.commit(offsets=back, asynchronous=False)


def _erase(settings: Settings, reader: Consumer, progress: Callable[[int], None]) -> int:
    producer = kafka.producer(settings, "rebuild")
    sending, failures, erased = kafka.Sending(producer), list[str | None](), 0
    for partition in range(settings.partitions):
        for key in _known(settings, reader, partition):
            sending.send(settings.topic(STATES.name), key, None, partition=partition)
            erased += 1
            progress(erased)
    sending.finish(failures.append)
    kafka.flush(producer)
    if failures != [None]:
        raise Transient(f"Kafka did not take every erasure ({failures}); run it again")
    return erased


def _known(settings: Settings, reader: Consumer, partition: int) -> set[bytes]:
    """The customers that have a state in a partition."""
    known: set[bytes] = set()
    for record in kafka.records(reader, settings.topic(STATES.name), partition, 0):
        if record.key() is not None:
            (known.discard if record.value() is None else known.add)(record.key())
    return known
