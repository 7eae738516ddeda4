"""The first pass over a file: every row is read, nothing is sent, and what does not fit is written down.

The same pass decides whether anything is sent at all, so a file that is cut off at its end costs nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import orjson

from pipeline.core.currencies import Currency
from pipeline.core.events import Event, Purchase
from pipeline.errors import BadEvent, Refused
from pipeline.importing.events import Maker, found
from pipeline.importing.identity import Repeats, content_key
from pipeline.importing.mapping import Plan
from pipeline.importing.rows import File, Row

Progress = Callable[[int], object]
"""Told how many bytes were read."""
CURRENCIES = frozenset(get_args(Currency))
LOOKED_AT = 1_000
"""Rows in which a column is looked at that no field comes from."""
STEP = 500


@dataclass(slots=True)
class Checked:
    """What a file holds, by a mapping."""

    rows: int = 0
    good: int = 0
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many rows were rejected for each reason and detail."""
    first_rejects: dict[tuple[str, str], int] = field(default_factory=dict)
    """The number of the first row of each."""
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
    def rejected(self) -> int:
        """Rows that do not fit."""
        return self.rows - self.good


FIRST = 40
"""How many of the first events are remembered, to ask whether they were imported before."""


def check(file: File, plan: Plan, maker: Maker, repeats: Repeats, rejects: Path | None, progress: Progress) -> Checked:
    """Read every row; ``rejects`` is written when there are any, all of it or not at all.

    Raises
    ------
    Refused
        The file as a whole cannot be used, or not one row fits the mapping.
    """
    checked, columns = Checked(), _Columns(plan)
    part = rejects.with_name(f"{rejects.name}.part") if rejects is not None else Path("/dev/null")
    try:
        with part.open("wb") as written:
            for row in file.rows():
                checked.rows += 1
                columns.see(row)
                try:
                    _see(checked, plan, maker, repeats, row)
                except BadEvent as bad:
                    _reject(checked, row, bad)
                    written.write(orjson.dumps({"row": row.number, "reason": bad.reason, "detail": bad.detail}) + b"\n")
                if checked.rows % STEP == 0:
                    progress(file.done)
        progress(file.done)
        repeats.second_pass()
        checked.digest = file.digest
        _refuse_useless(checked, columns.never())
        checked.warnings += columns.warnings()
    except OSError as failed:
        raise Refused(f"cannot write {part}: {failed.strerror}") from None
    except BaseException:
        if rejects is not None:
            part.unlink(missing_ok=True)
        raise
    if rejects is not None:
        part.replace(rejects) if checked.rejected else part.unlink()
    return checked


def _see(checked: Checked, plan: Plan, maker: Maker, repeats: Repeats, row: Row) -> None:
    event = maker(row, repeats.first).event
    checked.good += 1
    if plan.identity.column is not None:
        checked.same_id += repeats.mark(content_key([event.customer_id, event.event_id]))
    at = event.occurred_at
    checked.earliest = at if checked.earliest is None else min(checked.earliest, at)
    checked.latest = at if checked.latest is None else max(checked.latest, at)
    if len(checked.first) < FIRST:
        checked.first.append((event.customer_id, event.event_id))
    checked.currencies.update(_currency(event))


def _currency(event: Event) -> tuple[str, ...]:
    return (event.currency,) if isinstance(event, Purchase) else ()


def _reject(checked: Checked, row: Row, bad: BadEvent) -> None:
    why = (bad.reason.value, bad.detail)
    checked.rejects[why] += 1
    checked.first_rejects.setdefault(why, row.number)


def _refuse_useless(checked: Checked, never: list[str]) -> None:
    if not checked.rows:
        raise Refused("the file holds no rows below its first line; nothing is imported")
    if never:
        raise Refused(f"no row of the file has {', '.join(never)}; name its columns in the mapping as they are")
    if not checked.good:
        (reason, detail), count = checked.rejects.most_common(1)[0]
        raise Refused(
            f"not one of {checked.rows} rows fits the mapping; {count} of them: {reason}, {detail}. Mend the mapping"
        )


class _Columns:
    """Looks at what the mapping leaves out, and at what it names and the file has not."""

    def __init__(self, plan: Plan) -> None:
        self._wanted = set(plan.columns)
        constant = plan.fields.get("currency")
        self._constant = constant.constant if constant is not None else None
        self._mapped = set(plan.columns)
        self._seen: defaultdict[str, set[Any]] = defaultdict(set)
        self._rows = 0

    def see(self, row: Row) -> None:
        """One more row."""
        if self._wanted and not row.problem:
            self._wanted = {column for column in self._wanted if found(row.values, column) is None}
        self._rows += 1
        if self._constant is not None and self._rows <= LOOKED_AT:
            for column, value in row.values.items():
                if column not in self._mapped and isinstance(value, str) and len(self._seen[column]) <= len(CURRENCIES):
                    self._seen[column].add(value.strip().upper())

    def never(self) -> list[str]:
        """Columns that the mapping names and no row had."""
        return sorted(self._wanted)

    def warnings(self) -> list[str]:
        """A column that looks like currencies beside a constant one."""
        return [
            f"every amount is taken as {self._constant}, but the column {column} looks like currencies "
            f"({', '.join(sorted(values)[:5])}); write currency = {column!r} if it is"
            for column, values in self._seen.items()
            if values - {""} and values - {""} <= CURRENCIES and values - {""} != {self._constant}
        ]
