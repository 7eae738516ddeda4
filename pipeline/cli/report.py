"""``loyalty report``."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, At, DataDir, Days, example, settings_of
from pipeline.commands import (
    acting,
    output,
    reported,
    reports,
)

report_cli = typer.Typer(no_args_is_help=True, help="What customers say, what service costs them, what becomes of it.")


@report_cli.command("effect", epilog=example("loyalty report effect --days 90"))
def report_effect(
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Who bought nothing within so many days has left.")] = 90,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Show what acting on alerts changed, against the alerts that were held out (LOYALTY_HOLDOUT_PERCENT)."""
    found = acting.measured(settings_of(data_dir, running=True), days)
    output.as_json(found.as_data()) if json_ else acting.show(found)


@report_cli.command("surveys", epilog=example("loyalty report surveys --days 90"))
def report_surveys(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show recommendation, ease, satisfaction and intention; with --days also against the period before."""
    found = reports.surveys(settings_of(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.surveys(found)


@report_cli.command("effort", epilog=example("loyalty report effort --days 90"))
def report_effort(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show what getting issues solved costs customers, by where the problem comes from."""
    found = reports.effort(settings_of(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.effort(found)


@report_cli.command("shift", epilog=example("loyalty report shift --at 1998-06-30"))
def report_shift(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show how many customers are less and how many more loyal after a contact, beside the published 4 : 1."""
    found = reports.shift(settings_of(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.shift(found)
