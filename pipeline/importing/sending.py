"""The second pass over a file: sends accepted rows, and does not send again what the log already has.

1. what was sent after the last note is looked up in the log
2. rows are sent in pieces, each record saying which import and which row it is
3. when the broker has confirmed a piece, the note says so

A crash between 2 and 3 leaves records that 1 finds.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import BadEvent, Refused, Unreachable
from pipeline.importing.events import Made, Maker
from pipeline.importing.identity import Repeats
from pipeline.importing.note import Note
from pipeline.importing.plan import Plan
from pipeline.importing.rows import File
from pipeline.importing.units import Unit, units
from pipeline.progress import OnCount
from pipeline.topics import BY_NAME, IMPORT_HEADER
from pipeline.waiting import Pace

PIECE = 20_000
"""Rows that are sent before the broker is waited for."""
SECONDS = 120.0
Numbered = tuple[int, Made]


def events(file: File, plan: Plan, maker: Maker, repeats: Repeats) -> Iterator[Numbered]:
    """What fits of a file, with the numbers of its events, which rise."""
    for unit in units(file.rows(), plan):
        yield from zip(maker.numbers(unit), _made(maker, unit, repeats), strict=False)


def _made(maker: Maker, unit: Unit, repeats: Repeats) -> list[Made]:
    """The events in a unit, none when it does not fit; a row counts as an occurrence whether it fits or not."""
    try:
        return maker(unit, repeats.occurrence)
    except BadEvent:
        return []


def cluster(settings: Settings) -> str:
    """Which Kafka this is, and which topics in it are ours."""
    return f"{kafka.metadata(settings).cluster_id} {settings.topic_prefix}".strip()


def ends(settings: Settings, topic: str) -> dict[int, tuple[int, int]]:
    """First and next offset of every partition of an input."""
    return {n: bounds for (_, n), bounds in kafka.end_offsets(settings, [BY_NAME[topic]]).items()}


def arrived(settings: Settings, note: Note) -> dict[int, int]:
    """The last row in each partition that the log has, of those after the note.

    Raises
    ------
    Refused
        The log ends before the note: this is another Kafka, or it was emptied.
    """
    found: dict[int, int] = {}
    bounds = ends(settings, note.topic)
    with kafka.reading(settings, "import", settings.group("import")) as reader:
        for partition, (low, end) in bounds.items():
            start = max(low, note.places.get(partition, low))
            if start > end:
                raise Refused(
                    f"{note.topic} ends before what the note says was sent: it was emptied. Move the note away to "
                    "import the file from its beginning"
                )
            if start == end:
                continue
            for record in kafka.read_range(reader, settings.topic(note.topic), partition, start):
                found[partition] = max(found.get(partition, 0), row_of(note, kafka.header_of(record, IMPORT_HEADER)))
    return {partition: row for partition, row in found.items() if row}


def row_of(note: Note, header: bytes) -> int:
    """Which row of this import a record is; 0 when it is none."""
    said = re.fullmatch(rb"([0-9a-f]{16})/([0-9]{1,18})", header)
    return int(said[2]) if said is not None and said[1] == note.identity.encode() else 0


def send(
    settings: Settings,
    note: Note,
    events: Iterable[Numbered],
    noted: Callable[[Note], object],
    progress: OnCount,
    rate: float | None = None,
    crash: CrashPoints | None = None,
) -> tuple[Note, int]:
    """Send the events of rows after the note; returns the note in the end, and how many were found in the log.

    Raises
    ------
    Unreachable
        The broker did not confirm everything; run again, and it goes on.
    """
    sender = _Sender(settings, note, noted, crash or CrashPoints())
    rest, pace = iter(events), Pace(rate)
    while piece := list(islice(rest, PIECE if rate is None else max(1, min(PIECE, int(rate))))):
        sender.send(piece)
        progress(sender.note.sent)
        pace.keep(sender.note.sent)
    return msgspec.structs.replace(sender.note, done=True), sender.already


class _Sender:
    """Steps 2 and 3, piece by piece."""

    def __init__(self, settings: Settings, note: Note, noted: Callable[[Note], object], crash: CrashPoints) -> None:
        self._settings, self._noted, self._crash = settings, noted, crash
        self._producer = kafka.producer(settings, "import", **{"message.timeout.ms": int(SECONDS * 1_000)})
        self._arrived = arrived(settings, note) if note.places else {}
        self.already = 0
        """How many events the log had."""
        self.note = note
        if not note.places:
            self._keep(places={n: end for n, (_, end) in ends(settings, note.topic).items()})

    def _keep(self, **changes: Any) -> None:
        self.note = msgspec.structs.replace(self.note, **changes)
        self._noted(self.note)

    def send(self, piece: Sequence[Numbered]) -> None:
        """Send what of a piece is not in the log, and note it once the broker has confirmed it."""
        fresh = [entry for entry in piece if entry[0] > self.note.row]
        places = dict(self.note.places)
        confirmed = [_place(places, partition) for partition in range(self._settings.partitions)]
        with kafka.send_confirmed(self._producer, _not_taken, SECONDS) as sending:
            for number, event in fresh:
                self._send(sending, number, event, confirmed)
            self._crash.reached(Point.IMPORT_SENDING)
        if fresh:
            self._crash.reached(Point.IMPORT_SENT)
            self._keep(row=piece[-1][0], sent=self.note.sent + len(fresh), places=places)
            self._crash.reached(Point.IMPORT_NOTED)

    def _send(
        self, sending: kafka.Sending, number: int, made: Made, confirmed: Sequence[Callable[[int], object]]
    ) -> None:
        key = made.event.customer_id.encode()
        partition = partition_of(key, self._settings.partitions)
        if number <= self._arrived.get(partition, 0):
            self.already += 1
            return
        header: kafka.Headers = [(IMPORT_HEADER, f"{self.note.identity}/{number}".encode())]
        sending.send(self._settings.topic(self.note.topic), key, made.value, header, partition, confirmed[partition])


def _not_taken(failures: Sequence[str | None]) -> Unreachable:
    return Unreachable(f"Kafka did not take every event ({failures}); run it again, and it goes on from there")


def _place(places: dict[int, int], partition: int) -> Callable[[int], object]:
    def confirmed(offset: int) -> None:
        places[partition] = max(offset + 1, places.get(partition, 0))

    return confirmed
