"""How commands print: tables and sentences for people, JSON for programs. Texts from outside are never markup."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from pipeline.cli.printing import tables
from pipeline.cli.printing.tables import Column
from pipeline.errors import LoyaltyError
from pipeline.logs import Unfailing
from pipeline.progress import OnProgress

PIPED_WIDTH = 10_000
"""Nothing is wrapped or shortened for a program or a file that reads our output."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the caller; rich itself would end the thread, whichever it is."""
        raise  # noqa: PLE0704 - called where it is handled


def _stderr() -> Any:
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)


def _console(is_terminal: bool, piped_width: int, file: IO[str] | None = None) -> _Console:
    """A terminal with its own width; a file or another program gets neither colours nor lines that are wrapped."""
    return _Console(
        file=file,
        highlight=False,
        soft_wrap=True,
        force_terminal=is_terminal,
        color_system="auto" if is_terminal else None,
        width=None if is_terminal else piped_width,
    )


_beside = cast(IO[str], Unfailing(_stderr))
"""Standard error: nobody's life depends on what is said beside the work."""
out = _console(bool(sys.stdout and sys.stdout.isatty()), PIPED_WIDTH)
err = _console(_beside.isatty(), 120, _beside)
_PLAIN = {ord("─"): "-", ord("…"): "~"}
"""What is drawn instead on a terminal that knows no such signs."""

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
        text = _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)
    out.file.write(text + "\n")
    out.file.flush()


def table(columns: Sequence[str | Column], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under column names, as wide as the terminal: see :mod:`pipeline.cli.printing.tables`."""
    cells = [[clean(value).replace("\n", " ") for value in row] for row in rows]
    named = [column._replace(name=clean(column.name).replace("\n", " ")) for column in tables.declared(columns)]
    plain = not out.encoding.lower().startswith("utf")
    for line in tables.drawn(named, cells, out.width if out.is_terminal else None):
        out.print(Text(line.translate(_PLAIN) if plain else line))


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
        TextColumn("{task.description}", markup=False),
        BarColumn(30),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=err,
    )


@contextmanager
def counted(title: str, unit: str) -> Iterator[OnProgress]:
    """A bar for what is told how much is done, and of how much."""
    with bar(unit) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def failure(failed: LoyaltyError) -> None:
    """A failure in one line on standard error."""
    err.print(Text("loyalty: " + clean(" ".join(str(failed).split()))))
