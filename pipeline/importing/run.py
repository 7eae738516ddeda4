"""Imports a firm's history from a file, as events with their original times."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline import kafka
from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints
from pipeline.errors import Refused
from pipeline.importing import mapping, note, sending
from pipeline.importing.checking import Checked, check
from pipeline.importing.events import Maker
from pipeline.importing.identity import Repeats
from pipeline.importing.note import Note
from pipeline.importing.plan import Plan
from pipeline.importing.rows import File
from pipeline.local.parquet import lines
from pipeline.progress import Meter, silent
from pipeline.sink.audit import TABLES
from pipeline.topics import INPUTS
from pipeline.warehouse.client import connect


class ImportResult(NamedTuple):
    """What an import came to."""

    topic: str
    checked: Checked
    sent: int
    found: int
    """Of these, how many the log had already."""
    rejects: Path | None

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        checked = self.checked
        return {
            "rows": checked.rows,
            "fit": checked.good,
            "refunds": checked.refunds,
            "left_out": dict(checked.left_out),
            "sent": {self.topic: self.sent},
            "found_in_the_log": self.found,
            "rejected": checked.rejected,
            "rejects": [
                {
                    "reason": reason,
                    "detail": detail,
                    "rows": count,
                    "first_row": checked.first_rejects[reason, detail],
                    "column": checked.columns.get(detail),
                }
                for (reason, detail), count in checked.rejects.most_common()
            ],
            "rejects_file": str(self.rejects) if self.rejects else None,
            "earliest": checked.earliest and checked.earliest.isoformat(),
            "latest": checked.latest and checked.latest.isoformat(),
            "currencies": dict(checked.currencies),
            "same_event_id": checked.same_id,
            "warnings": checked.warnings,
        }


class _Work:
    """One file and one mapping, both read."""

    def __init__(
        self, path: Path, mapping_path: Path, meter: Meter, *, notify: bool, begun: datetime | None = None
    ) -> None:
        self.path = path
        self.meter = meter
        self.plan: Plan = mapping.read(mapping_path)
        self.topic = next(topic.name for topic in INPUTS if topic.kind == self.plan.kind)
        self.file = File(path, self.plan.file, self.plan.columns, lines)
        self.notify = notify
        self.begun = begun or datetime.now(UTC)
        self.maker = Maker(self.plan, self.begun, backfill=not notify)
        self.repeats = Repeats(self.file.size)

    def check(self, rejects: Path | None) -> Checked:
        with self.meter(f"checking {self.path.name}", "bytes") as progress:
            return check(self.file, self.plan, self.maker, self.repeats, rejects, lambda n: progress(n, self.file.size))


def dry_run(path: Path, mapping_path: Path, meter: Meter = silent, *, notify: bool) -> ImportResult:
    """Validate everything and send nothing; nothing is written either."""
    work = _Work(path, mapping_path, meter, notify=notify)
    return ImportResult(work.topic, work.check(None), 0, 0, None)


def run(
    settings: Settings,
    path: Path,
    mapping_path: Path,
    meter: Meter = silent,
    *,
    notify: bool = False,
    again: bool = False,
    most_rejects: float = 1.0,
    rate: float | None = None,
) -> ImportResult:
    """Check a file, then send what fits; a run that was interrupted is gone on with.

    ``most_rejects`` is in percent of the rows. ``again`` sends what the warehouse holds from elsewhere all the same.

    Raises
    ------
    Refused
        The file or the mapping cannot be used, or what the file holds was imported differently before.
    """
    kafka.verify_topics(settings)
    with _alone(path):
        begun = _begun(path)
        work = _Work(path, mapping_path, meter, notify=notify, begun=begun)
        rejects = path.with_name(f"{path.name}.rejects.jsonl")
        checked = work.check(rejects)
        made = Note(
            size=work.file.size, digest=checked.digest, mapping=work.plan.digest, cluster=sending.cluster(settings),
            topic=work.topic, notify=notify, begun=work.begun,
        )  # fmt: skip
        known = note.read(path, made)
        kept = rejects if checked.rejected else None
        if known is not None and known.done:
            return ImportResult(work.topic, checked, 0, known.sent, kept)
        if known is None:
            _refuse_many(checked, most_rejects, rejects)
            known = _first(settings, work, made, checked, again=again)
        done, found = _send(settings, work, known, checked, rate)
        return ImportResult(work.topic, checked, done.sent - found, found, kept)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    try:
        with note.alone(path):
            yield
    except (FileNotFoundError, PermissionError, IsADirectoryError) as failed:
        raise Refused(f"cannot read {path}: {failed.strerror}") from None


def _begun(path: Path) -> datetime | None:
    """When an import of this file began that is not at its end; whether it is this one is looked at later."""
    try:
        return msgspec.json.decode(note.path_of(path).read_bytes(), type=Note).begun
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _refuse_many(checked: Checked, most: float, rejects: Path) -> None:
    if checked.rejected * 100 > most * (checked.good + checked.rejected):
        (reason, detail), _ = checked.rejects.most_common(1)[0]
        looked_at = checked.good + checked.rejected
        raise Refused(
            f"{checked.rejected} of {looked_at} rows do not fit ({reason}, {detail}, ...); nothing was sent. Mend "
            f"the mapping by {rejects}, or leave them out: --most-rejects 100"
        )


def _first(settings: Settings, work: _Work, made: Note, checked: Checked, *, again: bool) -> Note:
    """Where a first run begins; when the warehouse knows the file's first events, the whole log is looked through."""
    if again or not _in_warehouse(settings, work.topic, checked.first):
        return made
    lows = {partition: low for partition, (low, _) in sending.ends(settings, work.topic).items()}
    looked = msgspec.structs.replace(made, places=lows)
    if sending.arrived(settings, looked):
        return looked
    raise Refused(
        f"the warehouse holds events of {work.path.name} already, sent in another way. Sending them again would count "
        "what is older than a customer's 128 newest events twice in their state; if that is meant: --again"
    )


def _in_warehouse(settings: Settings, topic: str, first: list[tuple[str, str]]) -> bool:
    customers, ids = zip(*first, strict=True)
    found = connect(settings, seconds=60).query(
        "SELECT 1 FROM {table:Identifier} WHERE customer_id IN {customers:Array(String)} "
        "AND event_id IN {ids:Array(String)} LIMIT 1",
        {"table": TABLES[topic], "customers": list(customers), "ids": list(ids)},
    )
    return bool(found.rows)


def _send(settings: Settings, work: _Work, known: Note, checked: Checked, rate: float | None) -> tuple[Note, int]:
    noted: Callable[[Note], object] = lambda now: note.write(work.path, now)  # noqa: E731 - said once
    crash = CrashPoints.from_env(os.environ)
    with work.meter(f"{work.topic} from {work.path.name}", "events") as progress:
        progress(known.sent, checked.events)
        events = sending.events(work.file, work.plan, work.maker, work.repeats)
        done, found = sending.send(settings, known, events, noted, lambda n: progress(n, checked.events), rate, crash)
    if work.file.digest != checked.digest:
        raise Refused(f"{work.path.name} was changed while it was imported; import it again from a copy that stays")
    noted(done)
    return done, found
