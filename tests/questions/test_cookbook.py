"""Every question of the cookbook answers what a plain count over the raw events finds."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipeline.analysis import answers as ask
from pipeline.analysis import cookbook
from pipeline.analysis.cookbook import CookbookQuestion
from pipeline.core.contract.moments import milliseconds
from pipeline.core.glossary.registry import definitions
from pipeline.warehouse.client import Result
from tests.questions.expected import EXPECTED
from tests.questions.judged import JUDGED
from tests.questions.known import Known
from tests.questions.valued import VALUED
from tests.questions.world import END, World

pytestmark = pytest.mark.xdist_group("questions")
ALL = {question.name: question for question in cookbook.shipped()}
ORACLES = EXPECTED | JUDGED | VALUED
SETTINGS: dict[str, dict[str, str]] = {
    "as they come": {},
    "in between": {"at": "2025-03-14T15:09:26"},
    "in between, a window": {"at": "2025-03-14T15:09:26", "days": "200"},
    "early": {"at": "2024-05-01", "days": "30"},
    "in a week": {"days": "7"},
    "one call a day": {"at": "2025-11-02", "capacity": "1"},
}


def test_every_question_has_an_independent_recomputation() -> None:
    assert ORACLES.keys() == ALL.keys()


def cases() -> list[tuple[str, str]]:
    """Each question as it comes, and with other values of what can be set about it."""
    sets = {name: {p.name for p in question.parameters} for name, question in ALL.items()}
    return [(name, setting) for name in ALL for setting, given in SETTINGS.items() if given.keys() <= sets[name]]


@pytest.mark.parametrize(("name", "setting"), cases())
def test_an_answer_is_that_of_a_plain_count(
    firm: World, known: Known, answers: Callable[[str], Result], name: str, setting: str
) -> None:
    question, given = ALL[name], SETTINGS[setting]
    answer = ask.AskedQuestion(firm.settings, question, given).rows(None) if given else answers(name)
    found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    expected = ORACLES[name](known, **arguments(question, given))
    assert expected or setting != "as they come", "the firm has nothing to answer this with"
    assert [[*row] for row in found] == [[*row] for row in expected]  # as many rows, the same columns
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == {column: close(value) for column, value in theirs.items()}


def arguments(question: CookbookQuestion, given: dict[str, str]) -> dict[str, int]:
    """What a recomputation is asked for, from what a person would write."""
    values = {parameter.name: given.get(parameter.name, parameter.default) for parameter in question.parameters}
    return {name: moment(text) if name == "at" else int(text) for name, text in values.items()}


def moment(text: str) -> int:
    """A day means its end."""
    if len(text) == len("2024-05-01"):
        text += "T23:59:59.999"
    return milliseconds(END if text == cookbook.ANSWER_MOMENT else datetime.fromisoformat(text).replace(tzinfo=UTC))


def close(value: Any) -> Any:
    """Equal for what is counted and named, to 1e-9 for what is computed."""
    return pytest.approx(float(value), rel=1e-9, abs=1e-12) if isinstance(value, float | Decimal) else value


# --- what a file must be


@pytest.mark.parametrize("name", ALL)
def test_a_file_asks_in_a_sentence_and_tells_what_to_know(name: str) -> None:
    question = ALL[name]
    assert question.text[0].isupper()
    assert question.text.endswith("?")
    assert len(question.text) <= 130
    assert question.sql.upper().startswith(("SELECT", "WITH"))
    assert not question.report or question.report in question.sql or "loyalty report" in " ".join(question.notes)


ABBREVIATED = {"cnt", "avg", "pct", "cust", "qty", "amt", "ts", "dt", "id", "num", "val", "x", "t", "ci", "lo", "hi"}


@pytest.mark.parametrize("name", ALL)
def test_every_column_of_an_answer_has_a_name_a_person_understands(answers: Callable[[str], Result], name: str) -> None:
    columns = answers(name).columns
    for column in columns:
        words = column.split("_")
        assert column == "n" or all(word.isalpha() or word.isdigit() for word in words), column
        assert column == "n" or (column == column.lower() and len(column) > 2), column
        assert column in ("customer_id",) or not ABBREVIATED & set(words), column
    if {"low", "high"} & set(columns):
        assert {"low", "high", "n", "definition_version"} <= set(columns)


@pytest.mark.parametrize("name", ALL)
def test_a_definition_is_one_of_the_glossary_in_its_version(answers: Callable[[str], Result], name: str) -> None:
    glossary, answer = definitions(), answers(name)
    if "definition_version" in answer.columns:
        column = answer.columns.index("definition_version")
        for said in {row[column] for row in answer.rows}:
            terms = re.findall(r"(.+?) (\d+)(?:, |$)", said)
            assert terms
            assert all(glossary[term].version == int(version) for term, version in terms), said


def test_the_demo_shows_the_five_questions_that_need_nothing_but_events() -> None:
    shown = [question.name for question in cookbook.shipped()[:5]]
    assert shown == [
        "sales_by_quarter", "one_time_and_returning", "effort_and_recommendation", "contacts_per_issue_by_origin",
        "who_is_about_to_leave",
    ]  # fmt: skip
    assert {parameter.name for name in shown for parameter in ALL[name].parameters} == {"at"}
