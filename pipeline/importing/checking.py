"""The first pass over a file: reads every row, sends nothing, and writes the rows that do not fit into a file.

The same pass decides whether anything is sent at all, so a file that is cut off at its end costs nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from pipeline.core.contract.events import Event, Purchase
from pipeline.errors import BadEvent, Refused
from pipeline.files import Growing
from pipeline.importing.doubts import ColumnsSeen, CustomerSpellings
from pipeline.importing.events import Maker
from pipeline.importing.identity import Repeats, content_key
from pipeline.importing.plan import Plan
from pipeline.importing.rows import File, Row
from pipeline.importing.units import Apart, Unit, units
from pipeline.progress import OnCount

"""Told how many bytes were read."""
STEP = 500
LINES = {"lines": "category"}
"""Fields that a mapping fills by another name."""


@dataclass(slots=True)
class Checked:
    """What a file holds, by a mapping."""

    rows: int = 0
    good: int = 0
    """Rows that fit; where rows are lines of orders, orders."""
    rejected: int = 0
    """Rows, or orders, that do not fit."""
    refunds: int = 0
    """Refunds, which are not counted among them."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many rows the mapping leaves out, for each of its conditions."""
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many rows were rejected for each reason and detail."""
    first_rejects: dict[tuple[str, str], int] = field(default_factory=dict)
    """The number of the first row of each."""
    columns: dict[str, str] = field(default_factory=dict)
    """The column behind each detail that names a field."""
    earliest: datetime | None = None
    latest: datetime | None = None
    currencies: Counter[str] = field(default_factory=Counter)
    same_id: int = 0
    """Rows whose event id an earlier row has: they count once. A few may be counted that have not."""
    first: list[tuple[str, str]] = field(default_factory=list)
    """Customer and event id of the first events."""
    warnings: list[str] = field(default_factory=list)
    digest: str = ""

    @property
    def events(self) -> int:
        """What would be sent."""
        return self.good + self.refunds


FIRST = 40
"""How many of the first events are remembered, to ask whether they were imported before."""


def check(file: File, plan: Plan, maker: Maker, repeats: Repeats, rejects: Path | None, progress: OnCount) -> Checked:
    """Read every row; ``rejects`` is written when there are any, all of it or not at all.

    Raises
    ------
    Refused
        The file as a whole cannot be used, or not one row fits the mapping.
    """
    pass_ = _Pass(plan, maker, repeats, file.size)
    try:
        with Growing(rejects) if rejects is not None else nullcontext() as kept:
            for unit in units(pass_.rows(file), plan, pass_.leave_out):
                line = pass_.see(unit)
                if line is not None and kept is not None:
                    kept.file.write(line)
                if pass_.checked.good % STEP == 0:
                    progress(file.done)
            progress(file.done)
            repeats.second_pass()
            pass_.checked.digest = file.digest
            pass_.end(file)
            if kept is not None and pass_.checked.rejected:
                kept.appear()
    except OSError as failed:
        raise Refused(f"cannot write {rejects}: {failed.strerror}") from None
    return pass_.checked


class _Pass:
    """What is remembered while every row is read once."""

    def __init__(self, plan: Plan, maker: Maker, repeats: Repeats, file_bytes: int) -> None:
        self.checked = Checked()
        self._plan, self._maker, self._repeats = plan, maker, repeats
        self._columns, self._customers, self._apart = ColumnsSeen(plan), CustomerSpellings(), Apart(plan, file_bytes)

    def rows(self, file: File) -> Iterator[Row]:
        """The rows of the file, looked at on the way."""
        for row in file.rows():
            self.checked.rows += 1
            self._columns.see(row)
            yield row

    def leave_out(self, why: str) -> None:
        """A row that the mapping leaves out."""
        self.checked.left_out[why] += 1

    def see(self, unit: Unit) -> bytes | None:
        """The rows of an event; returns what is to be written down when they do not fit."""
        self._apart.see(unit)
        try:
            event, *refunds = (made.event for made in self._maker(unit, self._repeats.first))
        except BadEvent as bad:
            return self._reject(unit.rows[0], bad)
        checked = self.checked
        checked.good += 1
        checked.refunds += len(refunds)
        if self._plan.identity.column is not None:
            checked.same_id += self._repeats.mark(content_key([event.customer_id, event.event_id]))
        at = event.occurred_at
        checked.earliest = at if checked.earliest is None else min(checked.earliest, at)
        checked.latest = at if checked.latest is None else max(checked.latest, at)
        if len(checked.first) < FIRST:
            checked.first.append((event.customer_id, event.event_id))
        checked.currencies.update(_currency(event))
        self._customers.see(event.customer_id, unit.number)
        return None

    def _reject(self, row: Row, bad: BadEvent) -> bytes:
        why = (bad.reason.value, bad.detail)
        self.checked.rejected += 1
        self.checked.rejects[why] += 1
        self.checked.first_rejects.setdefault(why, row.number)
        said = {"row": row.number, "reason": bad.reason, "detail": bad.detail}
        if row.line:
            said["line"] = row.line
        if (column := self._column(bad.detail)) is not None:
            said["column"] = self.checked.columns[bad.detail] = column
        return orjson.dumps(said) + b"\n"

    def _column(self, detail: str) -> str | None:
        """The column of the field that a detail names."""
        field_ = re.match(r"\$\.((?:refund\.)?\w+)", detail)
        if field_ is None:
            return None
        source = self._plan.sources.get(LINES.get(field_[1], field_[1]))
        if field_[1] == "event_id":
            return self._plan.identity.column
        return source.column if source is not None else None

    def end(self, file: File) -> None:
        """Every row was read.

        Raises
        ------
        Refused
            The file as a whole cannot be used.
        """
        _refuse_useless(self.checked, self._columns.never())
        if self._apart.maybe and (row := self._apart.first(units(file.rows(), self._plan))) is not None:
            order = self._plan.order.column if self._plan.order is not None else ""
            raise Refused(
                f"the rows of an order do not lie together: row {row} belongs to one that came before; sort the file "
                f"by {order}"
            )
        self.checked.warnings += [*self._columns.warnings(), *self._customers.warnings()]


def _currency(event: Event) -> tuple[str, ...]:
    return (event.currency,) if isinstance(event, Purchase) else ()


def _refuse_useless(checked: Checked, never: list[str]) -> None:
    if not checked.rows:
        raise Refused("the file holds no rows below its first line; nothing is imported")
    if never:
        raise Refused(f"no row of the file has {', '.join(never)}; name its columns in the mapping as they are")
    if not checked.good and not checked.rejected:
        raise Refused("the mapping leaves out every row of the file; look at its [[leave_out]] and [file] footer")
    if not checked.good:
        (reason, detail), count = checked.rejects.most_common(1)[0]
        raise Refused(
            f"not one of {checked.rejected} rows fits the mapping; {count} of them: {reason}, {detail}. "
            "Mend the mapping"
        )
