"""How commands print: tables and sentences for people, JSON for programs. Texts from outside are never markup."""

import json
import re
import sys
from collections.abc import Sequence
from typing import IO, Any, cast

import orjson
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipeline.errors import LoyaltyError
from pipeline.logs import Unfailing

PIPED_WIDTH = 10_000
"""Nothing is wrapped or shortened for a program or a file that reads our output."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the caller; rich itself would end the thread, whichever it is."""
        raise  # noqa: PLE0704 - called where it is handled


def _stderr() -> Any:
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)


_beside = cast(IO[str], Unfailing(_stderr))
"""Standard error: nobody's life depends on what is said beside the work."""
out = _Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else PIPED_WIDTH)
err = _Console(file=_beside, highlight=False, soft_wrap=True, width=None if _beside.isatty() else 120)

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def clean(value: Any) -> str:
    """A value as text that cannot act on the terminal: control characters are shown, not sent."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def say(text: str) -> None:
    """One line for a person; what acts on a terminal is shown instead of sent."""
    out.print(Text(clean(text)))


def note(text: str) -> None:
    """One line for a person on standard error, beside output that a program may read."""
    err.print(Text(clean(text)))


def as_json(value: Any) -> None:
    """A value as one line of JSON; in ASCII where the output is not UTF-8, which is the same JSON."""
    text = orjson.dumps(value, default=str).decode()
    if out.encoding not in ("utf-8", "utf8"):
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    out.file.write(text + "\n")
    out.file.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, shorten: str = "") -> None:
    """Rows under column names.

    Nothing is ever cut into lines: where the terminal is too narrow, the column named ``shorten`` is, and without one
    each row is printed as a record of its own.
    """
    cells = [[clean(value).replace("\n", " ") for value in row] for row in rows]
    widths = [max(map(cell_len, [name, *(row[i] for row in cells)])) for i, name in enumerate(columns)]
    if sum(widths) + 3 * len(columns) > out.width and not shorten:
        _records(columns, cells)
        return
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        drawn.add_column(Text(clean(name)), no_wrap=True, overflow="ellipsis" if name == shorten else "ignore",
                         ratio=1 if name == shorten else None)  # fmt: skip
    for row in cells:
        drawn.add_row(*map(Text, row))
    out.print(drawn)


def _records(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    margin = max(map(cell_len, columns))
    for number, row in enumerate(cells, start=1):
        out.print(Text(f"-- {number}"))
        for name, value in zip(columns, row, strict=True):
            out.print(Text(f"{name:<{margin}}  {value}"))


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else "")


def bar(unit: str = "events") -> Progress:
    """A progress bar with rate and time left; on standard error, so that output can be piped."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(30),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=err,
    )


def failure(failed: LoyaltyError) -> None:
    """A failure in one line on standard error."""
    err.print(Text("loyalty: " + clean(" ".join(str(failed).split()))))
