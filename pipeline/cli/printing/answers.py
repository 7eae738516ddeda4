"""Prints the questions of the cookbook and their answers."""

import sys
from math import isfinite
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.analysis.answers import AskedQuestion, _why_nothing, listed
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of
from pipeline.cli.printing.tables import identity, of_answer, prose
from pipeline.errors import Refused

SHOWN = 100
"""Rows of a table for a person, unless they ask for more."""


def show_list() -> None:
    """Every question, for a person."""
    rows = [[row["number"], row["name"], row["question"]] for row in listed()]
    output.table([identity(""), identity("name"), prose("question")], rows)
    output.say("Ask one by its name, its number, or words that no other has: loyalty ask captive")


def show(asked: AskedQuestion, limit: int) -> None:
    """The answer for a person."""
    answer = asked.rows(limit + 1)
    output.say(asked.question.text)
    if asked.moment is not None:
        output.say(f"{as_of(asked.moment)}.")
    if not answer.rows:
        output.say(_why_nothing(asked.warehouse, asked.question))
    else:
        rows = [[_shown(value) for value in row] for row in answer.rows[:limit]]
        output.table(of_answer(answer.columns, answer.types, rows), rows)
    if len(answer.rows) > limit:
        output.say(f"These are the first {limit} rows; --limit shows more.")
    if asked.question.notes:
        output.say(" ".join(asked.question.notes))
    for parameter in asked.question.parameters:
        value = asked.values[parameter.name]
        output.say(f"  {parameter.name} = {value}: {parameter.meaning} (default: {parameter.default})")
    if asked.question.parameters:
        first = asked.question.parameters[-1]
        output.say(f"Another value: loyalty ask {asked.question.name} --set {first.name}=VALUE")


def _shown(value: Any) -> Any:
    """A figure as a person reads it: three decimals at most."""
    if not isinstance(value, float):
        return value
    return f"{value:.3f}".rstrip("0").rstrip(".") if isfinite(value) else str(value)


def write(asked: AskedQuestion, format_: str, target: str, limit: int | None) -> None:
    """Write the answer to a file of its owner's, whole or not at all, or with ``-`` to standard output.

    Why an answer has no rows is said on standard error.

    Raises
    ------
    Refused
        There is no such folder, or it cannot be written to.
    """
    data = asked.exported(format_, limit)
    if not asked.rows(1).rows:
        output.err.print(_why_nothing(asked.warehouse, asked.question), markup=False)
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        files.write_whole(Path(target), data)
    except OSError as failed:
        raise Refused(f"{target} cannot be written: {failed.strerror}") from None
    output.say(f"Wrote {target}, {len(data)} bytes.")
