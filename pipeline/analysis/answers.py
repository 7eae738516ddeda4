"""Answers to the questions of the cookbook."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from pipeline.analysis import answer_moments, cookbook, reports
from pipeline.analysis.cookbook import CookbookQuestion
from pipeline.config import Settings
from pipeline.core.measures.shift import PUBLISHED, Ratio
from pipeline.errors import NotFound
from pipeline.warehouse.client import Result, Warehouse, connect

NOTHING = "No row answers this: nothing in the warehouse fits."


def chosen(words: str) -> CookbookQuestion:
    """The one question that the words mean.

    Raises
    ------
    NotFound
        None does, or several do; the message names them.
    """
    matching = cookbook.matching(words, cookbook.shipped())
    if not matching:
        raise NotFound(f"no question is about {words!r}; `loyalty ask` lists all of them")
    if len(matching) > 1:
        names = ", ".join(question.name for question in matching)
        raise NotFound(f"several questions are about {words!r}: {names}; name one: loyalty ask {matching[0].name}")
    return matching[0]


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


class AskedQuestion:
    """A question with the values of its parameters, in a warehouse."""

    def __init__(self, settings: Settings, question: CookbookQuestion, given: Mapping[str, str]) -> None:
        self.question = question
        self.warehouse = connect(settings)
        self.moment = question.moment(self.warehouse, given)
        self.values = question.values(given, self.moment)
        answer = {cookbook.ANSWER: _REPORTS[question.report](settings, self.values)} if question.report else {}
        self._bound = self.values | answer

    def rows(self, limit: int | None) -> Result:
        """The answer; ``limit`` bounds its rows."""
        return self.warehouse.query(self.question.sql, self._bound, read_only=True, limit=limit)

    def exported(self, format_: str, limit: int | None) -> bytes:
        """The answer as the engine writes it in a format."""
        return self.warehouse.exported(self.question.sql, self._bound, format_=format_, limit=limit)


def as_data(asked: AskedQuestion, limit: int | None) -> dict[str, Any]:
    """The answer as a program reads it."""
    answer = asked.rows(limit)
    return {
        "name": asked.question.name,
        "question": asked.question.text,
        **({} if asked.moment is None else answer_moments.as_data(asked.moment)),
        "parameters": asked.values,
        "rows": answer.named(),
    }


def _why_nothing(warehouse: Warehouse, question: CookbookQuestion) -> str:
    """Why an answer is empty: what the question needs and does not find, or nothing that fits."""
    for needed, meaning in question.needs:
        if not warehouse.query(f"SELECT 1 FROM {needed} LIMIT 1").rows:  # noqa: S608 - a name from our own files
            return f"Nothing to tell: {meaning}."
    return NOTHING


# --- files


# --- answers that a report gives


def _shift(settings: Settings, values: Mapping[str, str]) -> str:
    shift: Ratio = reports.shift(
        settings, datetime.fromisoformat(values["at"]).replace(tzinfo=UTC), int(values["days"])
    )["shift"]
    ratio = shift.ratio
    row = [
        shift.less,
        shift.same,
        shift.more,
        sum(shift.undecided.values()),
        *((ratio.value, ratio.low, ratio.high, ratio.n) if ratio is not None else (None, None, None, 0)),
        PUBLISHED,
        shift.against_published or "nobody changed",
        shift.synthetic,
        "disloyal_to_loyal 1",
    ]
    return "\t".join(map(_field, row)) + "\n"


def _field(value: object) -> str:
    """A value in the engine's tab-separated format, which has no infinite ratio."""
    return "\\N" if value is None or (isinstance(value, float) and not isfinite(value)) else str(value)


_REPORTS: dict[str, Callable[[Settings, Mapping[str, str]], str]] = {"shift": _shift}
"""What answers instead of SQL, by the name of the report: rows in the engine's tab-separated format."""
