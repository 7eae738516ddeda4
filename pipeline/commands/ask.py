"""``loyalty ask``: the questions of the cookbook, listed and answered."""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.commands import output, questions, reports
from pipeline.commands.questions import Question
from pipeline.commands.tables import identity, of_answer, prose
from pipeline.config import Settings
from pipeline.core.measures.shift import PUBLISHED, Ratio
from pipeline.errors import NotFound, Refused
from pipeline.warehouse.client import Result, Warehouse, connect

SHOWN = 100
"""Rows of a table for a person, unless they ask for more."""
NOTHING = "No row answers this: nothing in the warehouse fits."


def chosen(words: str) -> Question:
    """The one question that the words mean.

    Raises
    ------
    NotFound
        None does, or several do; the message names them.
    """
    found = questions.found(words, questions.shipped())
    if not found:
        raise NotFound(f"no question is about {words!r}; `loyalty ask` lists all of them")
    if len(found) > 1:
        names = ", ".join(question.name for question in found)
        raise NotFound(f"several questions are about {words!r}: {names}; name one: loyalty ask {found[0].name}")
    return found[0]


def listed() -> list[dict[str, Any]]:
    """Every question with its number, as a program reads it."""
    return [
        {
            "number": number,
            "name": question.name,
            "question": question.text,
            "notes": " ".join(question.notes),
            "parameters": {p.name: {"default": p.default, "meaning": p.meaning} for p in question.parameters},
        }
        for number, question in enumerate(questions.shipped(), start=1)
    ]


def show_list() -> None:
    """Every question, for a person."""
    rows = [[row["number"], row["name"], row["question"]] for row in listed()]
    output.table([identity(""), identity("name"), prose("question")], rows)
    output.say("Ask one by its name, its number, or words that no other has: loyalty ask captive")


# --- asking


class Asked:
    """A question with the values of its parameters, in a warehouse."""

    def __init__(self, settings: Settings, question: Question, given: Mapping[str, str]) -> None:
        self.question = question
        self.warehouse = connect(settings)
        self.values = question.values(self.warehouse, given)
        answer = {questions.ANSWER: _REPORTS[question.report](settings, self.values)} if question.report else {}
        self._bound = self.values | answer

    def rows(self, limit: int | None) -> Result:
        """The answer; ``limit`` bounds its rows."""
        return self.warehouse.query(self.question.sql, self._bound, read_only=True, limit=limit)

    def exported(self, format_: str, limit: int | None) -> bytes:
        """The answer as the engine writes it in a format."""
        return self.warehouse.exported(self.question.sql, self._bound, format_=format_, limit=limit)


def show(asked: Asked, limit: int) -> None:
    """The answer for a person."""
    found = asked.rows(limit + 1)
    output.say(asked.question.text)
    if not found.rows:
        output.say(_why_nothing(asked.warehouse, asked.question))
    else:
        rows = [[_shown(value) for value in row] for row in found.rows[:limit]]
        output.table(of_answer(found.columns, found.types, rows), rows)
    if len(found.rows) > limit:
        output.say(f"These are the first {limit} rows; --limit shows more.")
    if asked.question.notes:
        output.say(" ".join(asked.question.notes))
    for parameter in asked.question.parameters:
        value = asked.values[parameter.name]
        output.say(f"  {parameter.name} = {value}: {parameter.meaning} (default: {parameter.default})")
    if asked.question.parameters:
        first = asked.question.parameters[-1]
        output.say(f"Another value: loyalty ask {asked.question.name} --set {first.name}=VALUE")


def as_data(asked: Asked, limit: int | None) -> dict[str, Any]:
    """The answer as a program reads it."""
    found = asked.rows(limit)
    return {
        "name": asked.question.name,
        "question": asked.question.text,
        "parameters": asked.values,
        "rows": [dict(zip(found.columns, row, strict=True)) for row in found.rows],
    }


def _why_nothing(warehouse: Warehouse, question: Question) -> str:
    """Why an answer is empty: what the question needs and does not find, or nothing that fits."""
    for needed, meaning in question.needs:
        if not warehouse.query(f"SELECT 1 FROM {needed} LIMIT 1").rows:  # noqa: S608 - a name from our own files
            return f"Nothing to tell: {meaning}."
    return NOTHING


def _shown(value: Any) -> Any:
    """A figure as a person reads it: three decimals at most."""
    if not isinstance(value, float):
        return value
    return f"{value:.3f}".rstrip("0").rstrip(".") if isfinite(value) else str(value)


# --- files


def write(asked: Asked, format_: str, target: str, limit: int | None) -> None:
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


# --- answers that a report gives


def _shift(settings: Settings, values: Mapping[str, str]) -> str:
    found: Ratio = reports.shift(settings, datetime.fromisoformat(values["at"]), int(values["days"]))["shift"]
    ratio = found.ratio
    row = [
        found.less,
        found.same,
        found.more,
        sum(found.undecided.values()),
        *((ratio.value, ratio.low, ratio.high, ratio.n) if ratio is not None else (None, None, None, 0)),
        PUBLISHED,
        found.against_published or "nobody changed",
        found.synthetic,
        "disloyal_to_loyal 1",
    ]
    return "\t".join(map(_field, row)) + "\n"


def _field(value: object) -> str:
    """A value in the engine's tab-separated format, which has no infinite ratio."""
    return "\\N" if value is None or (isinstance(value, float) and not isfinite(value)) else str(value)


_REPORTS: dict[str, Callable[[Settings, Mapping[str, str]], str]] = {"shift": _shift}
"""What answers instead of SQL, by the name of the report: rows in the engine's tab-separated format."""
