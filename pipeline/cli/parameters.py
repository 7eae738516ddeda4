"""``loyalty warehouse parameters`` and ``loyalty warehouse score``; :func:`register` puts them into a group."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.commands import parameters as recorded
from pipeline.commands import score as scoring


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``loyalty warehouse``."""
    group.command("parameters", epilog=example("loyalty warehouse parameters fit/parameters.json"))(parameters)
    group.command("score", epilog=example("loyalty warehouse score --policy priors-2"))(score)


def parameters(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="A parameter file of loyalty fit; it becomes the current one of its kind."
        ),
    ] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """List the parameters on record in the warehouse; with a file, put it on record and make it current."""
    recorded.run(settings_of(data_dir, running=True), file, as_json=json_)


def score(
    policy: Annotated[
        str | None,
        typer.Option(metavar="VERSION", show_default="the current one", help="A risk policy that is on record."),
    ] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Keep the churn risk after every service contact, with its contributions; goes on where it ended."""
    scoring.run(settings_of(data_dir, running=True), policy, as_json=json_)
