"""``loyalty ask``: the questions of the cookbook, listed and answered."""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from pipeline.analysis import cookbook, reports
from pipeline.analysis.cookbook import Question
from pipeline.config import Settings
from pipeline.core.measures.shift import PUBLISHED, Ratio
from pipeline.errors import NotFound
from pipeline.warehouse.client import Result, Warehouse, connect

NOTHING = "No row answers this: nothing in the warehouse fits."


def chosen(words: str) -> Question:
    """The one question that the words mean.

    Raises
    ------
    NotFound
        None does, or several do; the message names them.
    """
    found = cookbook.found(words, cookbook.shipped())
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
        for number, question in enumerate(cookbook.shipped(), start=1)
    ]


# --- asking


class Asked:
    """A question with the values of its parameters, in a warehouse."""

    def __init__(self, settings: Settings, question: Question, given: Mapping[str, str]) -> None:
        self.question = question
        self.warehouse = connect(settings)
        self.values = question.values(self.warehouse, given)
        answer = {cookbook.ANSWER: _REPORTS[question.report](settings, self.values)} if question.report else {}
        self._bound = self.values | answer

    def rows(self, limit: int | None) -> Result:
        """The answer; ``limit`` bounds its rows."""
        return self.warehouse.query(self.question.sql, self._bound, read_only=True, limit=limit)

    def exported(self, format_: str, limit: int | None) -> bytes:
        """The answer as the engine writes it in a format."""
        return self.warehouse.exported(self.question.sql, self._bound, format_=format_, limit=limit)


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


# --- files


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
