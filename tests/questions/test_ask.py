"""``loyalty ask``: which question words mean, what can be set, what is written, and what is said of nothing."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from pipeline.analysis import answers as ask
from pipeline.analysis import cookbook
from pipeline.cli import cli
from pipeline.cli.printing import answers, output, tables
from pipeline.config import Settings
from pipeline.core.state.customer import Customer, encode_state
from pipeline.errors import NotFound, Refused, Unreachable
from pipeline.records import Record
from pipeline.sink.rows import by_topic
from pipeline.warehouse.client import Result as Answer
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrations import migrate
from tests.questions.world import World, load

pytestmark = pytest.mark.xdist_group("questions")
ALL = cookbook.shipped()
BY_NAME = {question.name: question for question in ALL}


def loyalty(settings: Settings, *arguments: str) -> Result:
    """The command in this process; what it raises on purpose is in ``exception``."""
    return CliRunner().invoke(cli, arguments, env=settings.as_env())


# --- which question


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("captive", ["captive"]),
        ("6", ["captive"]),
        ("Captive Customers", ["captive_customers"]),
        ("nps-by-segment", ["nps_by_segment"]),
        ("4 : 1", ["disloyal_to_loyal"]),
        ("cross", ["cross_sell"]),
        ("rfm", ["rfm_segments"]),
        ("which long-standing customers are not regulars", ["captive"]),
        ("effort", ["effort_and_recommendation", "effort_by_origin"]),
        ("nothing of the kind", []),
        ("", []),
        ("'; DROP TABLE x", []),
    ],
)
def test_words_mean_the_questions_that_have_all_of_them(words: str, meant: list[str]) -> None:
    assert [question.name for question in cookbook.matching(words, ALL)] == meant


def test_a_newcomer_finds_the_captive_with_one_command(firm: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "ask", "captive"], capture_output=True, text=True, check=False, timeout=240,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200"} | firm.settings.as_env(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Which long-standing customers are not regulars, and which of them are captive?\n")
    first = next(line for line in done.stdout.splitlines() if line.startswith(" bound-"))
    assert "True" in first
    assert "contractual" in first
    assert "at = 2025-12-31 12:00:00.000" in done.stdout


def test_several_and_none_are_said_in_one_line(firm: World) -> None:
    several = loyalty(firm.settings, "ask", "effort")
    assert isinstance(several.exception, NotFound)
    assert "effort_and_recommendation, effort_by_origin" in str(several.exception)
    none = loyalty(firm.settings, "ask", "the", "weather")
    assert isinstance(none.exception, NotFound)
    assert str(none.exception) == "no question is about 'the weather'; `loyalty ask` lists all of them"


def test_the_list_has_every_question_and_needs_no_warehouse(capsys: pytest.CaptureFixture[str]) -> None:
    answers.show_list()
    shown = capsys.readouterr().out
    assert all(question.text in shown for question in ALL)
    nowhere = Settings(clickhouse="http://127.0.0.1:1")
    assert loyalty(nowhere, "ask").exit_code == 0
    assert [entry["name"] for entry in ask.listed()] == list(BY_NAME)
    assert loyalty(nowhere, "ask", "cohorts", "--sql").exit_code == 0
    assert isinstance(loyalty(nowhere, "ask", "cohorts").exception, Unreachable)


# --- what can be set


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("cohorts", {"days": "ninety"}, "days is a whole number, not 'ninety'; its default is 90"),
        ("cohorts", {"days": "-1"}, "days is a whole number"),
        ("cohorts", {"days": "90}) UNION ALL SELECT 1"}, "days is a whole number"),
        ("cohorts", {"days": "99999999999"}, "days is a whole number"),
        ("cohorts", {"at": "yesterday"}, "at is a moment such as 2026-03-01"),
        ("cohorts", {"at": "0001-01-01"}, "at is a moment"),
        ("cohorts", {"weeks": "3"}, "cohorts has no parameter 'weeks'; it has at, days"),
        ("sales_by_quarter", {"days": "3"}, "sales_by_quarter has no parameter 'days'; it has none"),
        ("disloyal_to_loyal", {"days": "ninety"}, "days is a whole number, not 'ninety'; its default is 36500"),
        ("disloyal_to_loyal", {"answer": "1"}, "has no parameter 'answer'; it has at, days"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_remedy(
    firm: World, name: str, given: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        ask.AskedQuestion(firm.settings, BY_NAME[name], given)


def test_a_moment_with_a_time_zone_is_that_moment(firm: World) -> None:
    asked = ask.AskedQuestion(firm.settings, BY_NAME["cohorts"], {"at": "2025-06-01T02:30:00+02:00"})
    assert asked.values["at"] == "2025-06-01 00:30:00.000"


def test_a_head_that_does_not_fit_its_query_is_a_mistake_in_the_file() -> None:
    with pytest.raises(ValueError, match="not of"):
        cookbook.read("odd", "-- Odd?\n-- days = 3: of it\nSELECT {weeks:UInt32}")
    read = cookbook.read(
        "fine", "-- Fine?\n-- Know this.\n-- days = 3: of it\n-- needs purchases: none yet\nSELECT {days:UInt32}"
    )
    assert (read.text, read.notes, read.needs) == ("Fine?", ("Know this.",), (("purchases", "none yet"),))
    assert read.parameters == (cookbook.Parameter("days", "3", "of it", "UInt32"),)


# --- files


def test_csv_and_parquet_hold_what_the_table_holds(firm: World, tmp_path: Path) -> None:
    asked = ask.AskedQuestion(firm.settings, BY_NAME["nps_by_segment"], {})
    answer = asked.rows(None)
    answers.write(asked, "CSVWithNames", str(tmp_path / "a.csv"), None)
    answers.write(asked, "Parquet", str(tmp_path / "a.parquet"), None)
    with (tmp_path / "a.csv").open() as file:
        read = list(csv.reader(file))
    assert read[0] == list(answer.columns)
    assert [row[1] for row in read[1:]] == [row[1] for row in answer.rows]
    assert [float(row[6]) for row in read[1:]] == [row[6] for row in answer.rows]
    stored = asked.warehouse.query(
        "SELECT * FROM file({path:String}, 'Parquet')", {"path": str(tmp_path / "a.parquet")}
    )
    assert (stored.columns, stored.rows) == (answer.columns, answer.rows)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.csv", "a.parquet"}


def test_a_file_is_written_whole_or_not_at_all(firm: World, tmp_path: Path) -> None:
    asked = ask.AskedQuestion(firm.settings, BY_NAME["captive"], {})
    kept = tmp_path / "kept.csv"
    kept.write_text("before")
    broken = ask.AskedQuestion(firm.settings, BY_NAME["captive"]._replace(sql="SELECT throwIf(1) FROM customers"), {})
    with pytest.raises(Exception, match="throwIf"):
        answers.write(broken, "CSVWithNames", str(kept), None)
    assert kept.read_text() == "before"
    with pytest.raises(Refused, match="cannot be written: No such file or directory"):
        answers.write(asked, "Parquet", str(tmp_path / "no" / "where.parquet"), None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.csv"]


def test_standard_output_holds_the_csv_and_nothing_else(firm: World, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    answers.write(ask.AskedQuestion(firm.settings, BY_NAME["captive"], {}), "CSVWithNames", "-", 3)
    read = list(csv.DictReader(capfdbinary.readouterr().out.decode().splitlines()))
    assert (len(read), read[0]["captive"]) == (3, "true")


def test_one_form_at_a_time(firm: World) -> None:
    assert loyalty(firm.settings, "ask", "captive", "--csv", "-", "--json").exit_code == 2
    assert loyalty(firm.settings, "ask", "captive", "--set", "days").exit_code == 2


def test_a_question_can_only_read(firm: World) -> None:
    writing = BY_NAME["captive"]._replace(sql="INSERT INTO customer_states (customer_id) SELECT 'x'", parameters=())
    with pytest.raises(Exception, match=r"can only read|returns no rows|readonly"):
        ask.AskedQuestion(firm.settings, writing, {}).rows(None)


# --- of nothing


@pytest.fixture(scope="module")
def empty(firm: World) -> Settings:
    """A warehouse in which nothing ever happened."""
    made = firm.settings.with_changes(database="nothing_yet")
    migrate(connect(made, create_database=True))
    return made


def test_before_the_first_event_a_question_says_where_to_look(empty: Settings) -> None:
    with pytest.raises(NotFound, match="there is no customer in the warehouse"):
        ask.AskedQuestion(empty, BY_NAME["captive"], {})


def test_of_one_prospect_every_question_says_in_words_why_there_is_no_answer(
    empty: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    prospect = Customer(customer_id="c-1", events=1, last_event_at=1_760_000_000_000)
    load(connect(empty), {topic: [] for topic in by_topic()} | {
        "customer-states": [Record(0, 1_760_000_000_000, b"c-1", encode_state(prospect), [])]})  # fmt: skip
    told = {}
    for question in ALL:
        answers.show(ask.AskedQuestion(empty, question, {}), 10)
        told[question.name] = capsys.readouterr().out
    answers.write(ask.AskedQuestion(empty, BY_NAME["captive"], {}), "CSVWithNames", "-", None)
    assert ask.NOTHING in capsys.readouterr().err
    assert "no alert was ever raised" in told["calibration"]
    assert "loyalty fit purchases" in told["customer_value"]
    assert "nobody answered a survey yet" in told["nps_by_segment"]
    assert "nobody contacted service yet" in told["effort_by_origin"]
    assert all(
        "Nothing to tell" in text or ask.NOTHING in text for name, text in told.items() if name != "disloyal_to_loyal"
    )
    assert "nobody changed" in told["disloyal_to_loyal"]


# --- at every width


@pytest.mark.parametrize("name", BY_NAME)
def test_an_answer_keeps_its_ids_and_figures_at_every_width(name: str, answers: Callable[[str], Answer]) -> None:
    found = answers(name)
    rows = [[output.clean(value) for value in row] for row in found.rows[:20]]
    columns = tables.of_answer(found.columns, found.types, rows)
    for width in (60, 80, 120, 160, 200, 250):
        lines = list(tables.drawn(columns, rows, width))
        assert [line for line in lines if cell_len(line) > width] == []
        assert not rows or lines[0] == "", "one record per row"
        for row in rows:
            values = [value for value, column in zip(row, columns, strict=True) if "prose" not in column.kind]
            assert [value for value in values if not any(value in line for line in lines)] == []
