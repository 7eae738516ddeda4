"""``loyalty import`` as a person uses it, without a broker."""

import json
from pathlib import Path

from typer.testing import CliRunner

from pipeline.cli import cli
from tests.importing.files import ROW, shop


def test_a_dry_run_says_what_would_go_and_leaves_nothing(tmp_path: Path) -> None:
    trial = shop(tmp_path, ROW + ROW.replace("1;", "2;", 1).replace("1.234,50", "viel"))
    shown = CliRunner().invoke(cli, ["import", str(trial.path), "--mapping", str(trial.mapping), "--dry-run"])
    assert shown.exit_code == 0, shown.exception
    assert "2 rows: 1 fit, from 2020-03-05 to 2020-03-05; 1 in EUR." in shown.output
    assert "Without --dry-run 1 events would go to purchases" in shown.output
    assert "out-of-range" in shown.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mapping.toml", "orders.csv"]


def test_a_program_gets_the_same_as_json(tmp_path: Path) -> None:
    trial = shop(tmp_path, ROW)
    shown = CliRunner().invoke(cli, ["import", str(trial.path), "--mapping", str(trial.mapping), "--dry-run", "--json"])
    found = json.loads(shown.stdout)
    assert (found["fit"], found["sent"], found["currencies"]) == (1, {"purchases": 0}, {"EUR": 1})


def test_an_example_mapping_is_printed_as_it_is() -> None:
    shown = CliRunner().invoke(cli, ["import", "--example-mapping", "purchase"])
    assert shown.output.startswith("# Which column of your file is which field of a purchase.")


def test_who_names_nothing_is_told_how_to_begin() -> None:
    assert "--example-mapping" in str(CliRunner().invoke(cli, ["import"]).exception)
