"""One firm in one warehouse for all tests of questions."""

from collections.abc import Callable, Iterator

import pytest

from pipeline.analysis import answers as ask
from pipeline.warehouse.client import Result
from tests.questions.known import Known
from tests.questions.world import World, world


@pytest.fixture(scope="package")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The firm, in a warehouse of its own."""
    with world(tmp_path_factory.mktemp("questions")) as made:
        yield made


@pytest.fixture(scope="package")
def known(firm: World) -> Known:
    """The same firm without its warehouse."""
    return Known(firm)


@pytest.fixture(scope="package")
def answers(firm: World) -> Callable[[str], Result]:
    """The answer to a question as it comes; each is asked once."""
    known: dict[str, Result] = {}

    def answered(name: str) -> Result:
        if name not in known:
            known[name] = ask.AskedQuestion(firm.settings, ask.chosen(name), {}).rows(None)
        return known[name]

    return answered
