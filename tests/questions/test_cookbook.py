"""Every question of the cookbook answers what a plain count over the raw events finds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipeline.commands import ask, questions
from pipeline.commands.questions import Question
from pipeline.core.moments import milliseconds
from tests.questions.expected import EXPECTED
from tests.questions.judged import JUDGED
from tests.questions.known import Known
from tests.questions.valued import VALUED
from tests.questions.world import END, World, world

pytestmark = pytest.mark.xdist_group("questions")
ALL = {question.name: question for question in questions.shipped()}
ORACLES = EXPECTED | JUDGED | VALUED
SETTINGS: dict[str, dict[str, str]] = {
    "as they come": {},
    "in between": {"at": "2025-03-14T15:09:26"},
    "in between, a window": {"at": "2025-03-14T15:09:26", "days": "200"},
    "early": {"at": "2024-05-01", "days": "30"},
    "in a week": {"days": "7"},
    "one call a day": {"at": "2025-11-02", "capacity": "1"},
}


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The firm, in a warehouse of its own."""
    with world(tmp_path_factory.mktemp("questions")) as made:
        yield made


@pytest.fixture(scope="module")
def known(firm: World) -> Known:
    """The same firm without its warehouse."""
    return Known(firm)


def test_every_question_has_an_independent_recomputation() -> None:
    assert ORACLES.keys() == ALL.keys()


def cases() -> list[tuple[str, str]]:
    """Each question as it comes, and with other values of what can be set about it."""
    sets = {name: {p.name for p in question.parameters} for name, question in ALL.items()}
    return [(name, setting) for name in ALL for setting, given in SETTINGS.items() if given.keys() <= sets[name]]


@pytest.mark.parametrize(("name", "setting"), cases())
def test_an_answer_is_that_of_a_plain_count(firm: World, known: Known, name: str, setting: str) -> None:
    question, given = ALL[name], SETTINGS[setting]
    answer = ask.Asked(firm.settings, question, given).rows(None)
    found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    expected = ORACLES[name](known, **arguments(question, given))
    assert expected or setting != "as they come", "the firm has nothing to answer this with"
    assert [[*row] for row in found] == [[*row] for row in expected]  # as many rows, the same columns
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == {column: close(value) for column, value in theirs.items()}


def arguments(question: Question, given: dict[str, str]) -> dict[str, int]:
    """What a recomputation is asked for, from what a person would write."""
    values = {parameter.name: given.get(parameter.name, parameter.default) for parameter in question.parameters}
    return {name: moment(text) if name == "at" else int(text) for name, text in values.items()}


def moment(text: str) -> int:
    return milliseconds(END if text == questions.NEWEST else datetime.fromisoformat(text).replace(tzinfo=UTC))


def close(value: Any) -> Any:
    """Equal for what is counted and named, to 1e-9 for what is computed."""
    return pytest.approx(float(value), rel=1e-9, abs=1e-12) if isinstance(value, float | Decimal) else value
