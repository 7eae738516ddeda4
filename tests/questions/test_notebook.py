"""The analyst's notebook runs from top to bottom, and shows what the cookbook answers."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any, NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.warehouse.client import Result
from tests.conftest import ROOT
from tests.questions.world import World

pytestmark = pytest.mark.xdist_group("questions")
NOTEBOOK = ROOT / "schemas/clickhouse/first_questions.ipynb"
ASKED = ("sales_by_quarter", "long_standing_against_regular", "nps_by_segment", "effort_by_origin",
         "first_contact_resolution", "cohorts", "calibration")  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"


class Run(NamedTuple):
    """What the notebook showed: data frames by the text of their cell, and pictures."""

    frames: Mapping[str, list[list[str]]]
    pictures: list[bytes]


@pytest.fixture(scope="module")
def run(firm: World) -> Run:
    """The notebook after one run against the firm, from its own folder, with the settings a person would set."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    client.execute(env=_environment(firm))
    return Run(dict(_frames(notebook)), list(_pictures(notebook)))


def _environment(firm: World) -> dict[str, str]:
    """Where the warehouse is, and that pictures go into the notebook."""
    return os.environ | firm.settings.as_env() | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def _frames(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, list[list[str]]]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                yield cell.source, _cells(output.data["text/html"])


def _pictures(notebook: nbformat.NotebookNode) -> Iterator[bytes]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield base64.b64decode(output.data["image/png"])


class _Table(HTMLParser):
    """The cells of an HTML table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def _cells(html: str) -> list[list[str]]:
    """The table's head and rows, without the index that pandas puts before each."""
    table = _Table()
    table.feed(html)
    return [row[1:] for row in table.rows]


def shown(run: Run, name: str) -> list[list[str]]:
    """The frame that the cell with this question shows."""
    (frame,) = (frame for source, frame in run.frames.items() if f'ask("{name}"' in source)
    return frame


@pytest.mark.parametrize("name", ASKED)
def test_the_notebook_shows_what_the_cookbook_answers(run: Run, answers: Callable[[str], Result], name: str) -> None:
    answer, (head, *rows) = answers(name), shown(run, name)
    assert head == list(answer.columns)
    assert len(rows) == len(answer.rows) > 0
    for row, expected in zip(rows, answer.rows, strict=True):
        for cell, value in zip(row, expected, strict=True):
            assert same(cell, value), (head, row, expected)


def same(cell: str, value: Any) -> bool:
    """Whether a cell shows a value: words and counts as they are, figures to the digits that pandas prints."""
    if value is None:
        return cell in ("NaN", "None", "<NA>", "NaT")
    if isinstance(value, int | float) and "." in cell:  # the engine writes a figure of 1.0 as 1
        return float(cell) == pytest.approx(value, rel=1e-5, abs=1e-6)
    return cell == str(value)


def test_the_notebook_asks_nothing_that_this_test_does_not_compare(run: Run) -> None:
    assert sum('ask("' in source for source in run.frames) == len(ASKED)


def test_the_notebook_says_how_much_of_the_data_is_synthetic(run: Run, firm: World) -> None:
    _, *rows = next(frame for source, frame in run.frames.items() if "countIf(synthetic)" in source)
    counts = {row[0]: (int(row[1]), int(row[2])) for row in rows}
    for words, topic in (
        ("purchases", "purchases"),
        ("service contacts", "service-contacts"),
        ("survey answers", "surveys"),
    ):
        events = firm.of(topic)
        assert counts[words] == (len(events), sum(bool(event.get("synthetic")) for event in events))


def test_the_notebook_draws_three_pictures(run: Run) -> None:
    assert len(run.pictures) == 3
    assert all(picture.startswith(PNG) and len(picture) > 5_000 for picture in run.pictures)


def test_the_notebook_keeps_no_answers() -> None:
    """An answer may name customers, and a stored picture may be older than the numbers."""
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
