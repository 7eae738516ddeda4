"""The command ``loyalty``. Each command reads its settings once, calls one function, and prints what it returned.

Modules of this folder hold the signatures of commands, a group each; they import what a command needs when it runs, so
that ``loyalty --help`` answers at once. What is printed, and how, lies in :mod:`pipeline.cli.printing`.

Exit codes are those of :class:`pipeline.exits.Exit`.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli import (
    alerts,
    customers,
    dead_letters,
    events,
    fit,
    operations,
    privacy,
    questions,
    rebuild,
    replay,
    report,
    stack,
    topics,
    warehouse,
    webhooks,
)
from pipeline.errors import LoyaltyError, NobodyReads, Refused, of_system
from pipeline.exits import Exit, leave
from pipeline.surroundings import settle

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="How loyal each customer is, and who is about to leave after a bad service experience.",
)
GROUPS = {
    "topics": topics,
    "dead-letters": dead_letters,
    "alerts": alerts,
    "replay": replay,
    "report": report,
    "fit": fit,
    "warehouse": warehouse,
    "webhooks": webhooks,
}
"""Modules whose ``commands`` are called by the name of their group and their own."""
for _module in (stack, events, operations, customers, questions, privacy, rebuild):
    cli.add_typer(_module.commands)
for _name, _group in GROUPS.items():
    cli.add_typer(_group.commands, name=_name)


@cli.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Options of the command itself."""
    if version:
        typer.echo(f"loyalty {__version__}")
        leave(Exit.OK)


def main() -> None:
    """Run the command; every failure is one clear line, but for a bug, which is told in full.

    All of the answer has been handed over when it ends.
    """
    settle()
    code = _exit_code_of(lambda: cli(prog_name="loyalty"))
    leave(code or _exit_code_of(sys.stdout.flush))


def _exit_code_of(run: Callable[[], object]) -> int | str | None:
    """Run it and tell a person why it failed; returns the exit code."""
    try:
        run()
    except SystemExit as ended:
        return ended.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except UnicodeEncodeError:
        _say_why(Refused("an argument is not UTF-8"))
        return Exit.USAGE
    except LoyaltyError as ours:
        return _failed(ours)
    except Exception as failed:  # a bug is told in full as Python would, but its exit code is not that of a check
        return _failed(of_system(failed) if isinstance(failed, OSError) else None)
    return Exit.OK


def _failed(failed: LoyaltyError | None) -> int:
    if failed is None:
        sys.excepthook(*sys.exc_info())
        return Exit.CRASHED
    if not isinstance(failed, NobodyReads):
        _say_why(failed)
    return failed.exit_code


def _say_why(failed: LoyaltyError) -> None:
    from pipeline.cli.printing import output

    output.failure(failed)
