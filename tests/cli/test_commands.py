"""Every command explains itself, with an example that is a command."""

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from typer.testing import CliRunner

import pipeline.cli
from pipeline.analysis import alerts
from pipeline.cli import cli, options
from pipeline.core.contract import events
from pipeline.core.risk import messages
from tests.conftest import ROOT

ROOT_COMMAND = typer.main.get_command(cli)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, child in subcommands.items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(ROOT_COMMAND))


def test_all_commands_are_there() -> None:
    assert {" ".join(path) for path in COMMANDS} == {
        "up", "demo", "reset", "worker", "sink", "warehouse serve", "warehouse migrate",
        "warehouse status", "warehouse dictionary",
        "warehouse parameters", "warehouse score", "topics create", "topics accept",
        "topics resume", "topics list",
        "replay cdnow",
        "simulate", "fit risk", "fit purchases", "status", "audit", "rebuild",
        "customer", "explain", "glossary", "query", "ask", "doctor", "dead-letters list", "dead-letters show",
        "erase", "export",
        "dead-letters replay", "alerts list", "alerts show", "alerts tail", "alerts done",
        "import",
        "notifier", "webhooks add", "webhooks list", "webhooks test", "webhooks rotate", "webhooks disable",
        "webhooks enable", "webhooks attempts", "webhooks replay",
        "report surveys", "report effort", "report shift", "report effect",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_parses(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*path, "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    example = re.search(r"Example:\s+(?:LOYALTY_\S+\s+)?loyalty (.+)", text)
    assert example, text
    words = shlex.split(example.group(1).split(" > ")[0])
    assert tuple(words[: len(path)]) == path
    command = COMMANDS[path]
    command.make_context(command.name or "", words[len(path) :], resilient_parsing=False)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_means(path: tuple[str, ...]) -> None:
    for parameter in COMMANDS[path].params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            assert parameter.help, parameter.name


PAGES = [page for page in ROOT.rglob("*.md") if ".venv" not in page.parts and page.name != "CHANGELOG.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    for line in re.findall(r"`\s*loyalty ([^`]+?)`", page.read_text()):
        words = line.split()
        command: Any = ROOT_COMMAND
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert command is not ROOT_COMMAND, f"loyalty {line}"
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, f"loyalty {line}"


def test_wrong_usage_is_exit_code_2() -> None:
    assert CliRunner().invoke(cli, ["dead-letters", "replay"]).exit_code == 2
    assert CliRunner().invoke(cli, ["simulate", "--customers", "0", "--days", "1", "--seed", "1"]).exit_code == 2


def test_every_option_that_takes_a_moment_reads_it_alike() -> None:
    """One parser: a day means its end in each of them."""
    taken = [
        (path, parameter.name)
        for path, command in COMMANDS.items()
        for parameter in command.params
        if parameter.name in ("at", "known_at")
    ]
    assert {path for path, _ in taken} == {
        ("customer",), ("explain",), ("ask",), ("alerts", "list"), ("alerts", "show"), ("report", "effect"),
        ("report", "surveys"), ("report", "effort"), ("report", "shift"),
    }  # fmt: skip
    for path, name in taken:
        whom = ["42"] if len(path) == 1 or path == ("alerts", "show") else []
        words = [*whom, f"--{name.replace('_', '-')}", "2026-03-01"]
        context = COMMANDS[path].make_context(path[-1], words)
        assert str(context.params[name]) == "2026-03-01 23:59:59.999000+00:00"


def test_the_words_of_a_desk_report_are_those_of_the_contract() -> None:
    """Twice, because help must not load what reads events."""
    pairs = {
        options.DeskAction: events.Action,
        options.DeskResult: events.Result,
        options.DeskReason: events.OutcomeReason,
        options.AlertTransition: messages.Transition,
    }
    for words, meant in pairs.items():
        assert [*words] == [*get_args(meant)]
    assert [*options.AlertSort] == [*alerts.SORTS]
    assert {reason for reasons in events.REASONS_OF.values() for reason in reasons} == {*options.DeskReason}
    assert events.REASONS_OF.keys() == {*options.DeskResult}


def test_help_loads_nothing_that_only_a_running_command_needs() -> None:
    libraries = ("confluent_kafka", "clickhouse_connect", "faust", "chdb", "numpy", "orjson", "msgspec", "structlog")
    source = (
        "import sys\nfrom pipeline.cli import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', [name for name in {libraries} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True).stdout
    assert output.endswith("loaded: []\n")


def test_every_group_of_commands_is_a_module_of_its_own_in_one_table() -> None:

    folder = Path(pipeline.cli.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "options"}
    registered = {group.typer_instance for group in cli.registered_groups}
    for name in modules:
        assert importlib.import_module(f"pipeline.cli.{name}").commands in registered
    assert len(registered) == len(modules)
