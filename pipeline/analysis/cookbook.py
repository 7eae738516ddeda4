"""Questions that travel with the program: one SQL file each, whose first line is the question.

A file begins with comment lines. The first is the question in a sentence. Of the others

::

    -- days = 365: only issues opened within so many days
    -- report: shift
    -- needs customers: nothing was bought yet

the first is a parameter of the query (``{days:UInt32}``) with its default, the second says that a report of the program
answers instead of SQL, and the third that an empty answer means that something was not done yet, when the table or view
it names is empty too. Every other line tells the reader what to know. A value of a parameter travels beside the query,
never in it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

from pipeline import resources
from pipeline.analysis.answer_moments import customers_known, in_sql, moment_of_answer
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.moments import as_written
from pipeline.errors import Refused
from pipeline.warehouse.client import Result, Warehouse

AT = "at"
"""The parameter that is the moment of the question."""
ANSWER_MOMENT = "answer moment"
"""The default of that parameter: :mod:`pipeline.core.answer_moment`."""
_PARAMETER = re.compile(r"(\w+) = ([^:]+): (.+)")
_NEEDS = re.compile(r"needs (\w+): (.+)")
_TYPED = re.compile(r"\{(\w+):([^}]+)\}")


class Parameter(NamedTuple):
    """What can be set about a question."""

    name: str
    default: str
    meaning: str
    type: str

    def checked(self, text: str) -> str:
        """A value for it, as the engine reads it.

        Raises
        ------
        Refused
            The text is no value of the parameter's type.
        """
        try:
            return _READERS[self.type.split("(")[0]](text)
        except ValueError:
            raise Refused(
                f"{self.name} is {_KINDS[self.type.split('(')[0]]}, not {text!r}; its default is {self.default}"
            ) from None


def _whole(text: str) -> str:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(text)
    return str(int(text))


def _number(text: str) -> str:
    if not isfinite(float(text)):
        raise ValueError(text)
    return str(float(text))


def _moment(text: str) -> str:
    moment = as_written(text)
    if not 1970 <= moment.year < 2200:
        raise ValueError(text)
    return in_sql(moment)


_READERS: Mapping[str, Callable[[str], str]] = {
    "UInt32": _whole,
    "Float64": _number,
    "DateTime64": _moment,
    "String": str,
}
_KINDS = {
    "UInt32": "a whole number",
    "Float64": "a number",
    "DateTime64": "a moment such as 2026-03-01 (the end of that day) or 2026-03-01T12:00:00, UTC",
    "String": "a text",
}


class CookbookQuestion(NamedTuple):
    """A question in words and the SQL that answers it."""

    name: str
    text: str
    notes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    sql: str
    report: str = ""
    """The report of the program that answers instead of SQL; empty: none does."""
    needs: tuple[tuple[str, str], ...] = ()
    """Tables or views, and what an empty one means."""

    def moment(self, warehouse: Warehouse, given: Mapping[str, str]) -> AnswerMoment | None:
        """The moment of the question; ``None``: the question has none, it is about everything that is known.

        Raises
        ------
        Refused
            The moment that was given is none.
        NotFound
            No moment was given, and there is no customer.
        """
        parameter = next((parameter for parameter in self.parameters if parameter.name == AT), None)
        if parameter is None:
            return None
        if given.get(AT, ANSWER_MOMENT) == ANSWER_MOMENT:
            customers_known(warehouse)
            return moment_of_answer(warehouse, None)
        return moment_of_answer(warehouse, datetime.fromisoformat(parameter.checked(given[AT])).replace(tzinfo=UTC))

    def values(self, given: Mapping[str, str], moment: AnswerMoment | None) -> dict[str, str]:
        """The value of every parameter: those given, and the defaults of the others.

        Raises
        ------
        Refused
            A parameter is not one of this question, or its value is of another type.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given.keys() - known.keys():
            can = f"it has {', '.join(known)}" if known else "it has none"
            raise Refused(f"{self.name} has no parameter {name!r}; {can}")
        return {
            name: in_sql(moment.at)
            if name == AT and moment is not None
            else parameter.checked(given.get(name, parameter.default))
            for name, parameter in known.items()
        }

    def ask(self, warehouse: Warehouse, given: Mapping[str, str] | None = None, limit: int | None = None) -> Result:
        """The answer, which can only be read; ``limit`` bounds its rows."""
        values = self.values(given or {}, self.moment(warehouse, given or {}))
        return warehouse.query(self.sql, values, read_only=True, limit=limit)


def shipped() -> list[CookbookQuestion]:
    """All questions, in order."""
    folder = resources.schemas() / "clickhouse" / "cookbook"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda file: file.name)
    return [
        read(entry.name.removesuffix(".sql").partition("_")[2], entry.read_text(encoding="utf-8")) for entry in files
    ]


def read(name: str, text: str) -> CookbookQuestion:
    """A question as its file says it.

    Raises
    ------
    ValueError
        A parameter of the query has no default, or one of the head is in no query.
    """
    head: list[str] = []
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        head.append(lines.pop(0)[2:].strip())
    sql = "\n".join(lines).strip()
    needs = [match.groups() for line in head[1:] if (match := _NEEDS.fullmatch(line))]
    defaults = [match.groups() for line in head[1:] if (match := _PARAMETER.fullmatch(line))]
    report = next((line.removeprefix(_REPORT) for line in head[1:] if line.startswith(_REPORT)), "")
    types: dict[str, str] = dict(_TYPED.findall(sql))
    if types.pop(ANSWER, None):
        types |= _REPORTED
    if types.keys() != {name for name, _, _ in defaults}:
        raise ValueError(f"{name}: the head says the default of {[name for name, _, _ in defaults]}, not of {[*types]}")
    parameters = tuple(Parameter(name, default, meaning, types[name]) for name, default, meaning in defaults)
    notes = [line for line in head[1:] if not (_NEEDS.fullmatch(line) or _PARAMETER.fullmatch(line))]
    shown = tuple(line for line in notes if not line.startswith(_REPORT))
    return CookbookQuestion(name, head[0], shown, parameters, sql, report, tuple((table, why) for table, why in needs))


_REPORT = "report: "
ANSWER = "answer"
"""The parameter that takes the rows of a report: no person sets it."""
_REPORTED = {"at": "DateTime64(3, 'UTC')", "days": "UInt32"}
"""The parameters of reports, which stand in no query."""


def matching(words: str, questions: list[CookbookQuestion]) -> list[CookbookQuestion]:
    """The questions that words can mean: one by its name or number, or all whose name or text has every word."""
    wanted = words.strip().casefold().replace("-", "_")
    exact = [
        question
        for number, question in enumerate(questions, start=1)
        if wanted.replace(" ", "_") in (question.name, str(number))
    ]
    if exact:
        return exact
    parts = re.findall(r"\w+", wanted.replace("_", " "))
    named = [question for question in questions if all(part in question.name for part in parts)]
    containing = [question for question in questions if all(part in _plain(question) for part in parts)]
    return (named or containing) if parts else []


def _plain(question: CookbookQuestion) -> str:
    return f"{question.name.replace('_', ' ')} {question.text} {' '.join(question.notes)}".casefold()
