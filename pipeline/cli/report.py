"""``loyalty report``: surveys, effort, loyalty shift, and the effect of acting."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, At, DataDir, Days, example, settings_of

commands = typer.Typer(no_args_is_help=True, help="What customers say, what service costs them, what becomes of it.")


@commands.command("effect", epilog=example("loyalty report effect --days 90"))
def effect(
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Who bought nothing within so many days has left.")] = 90,
    at: At = None,
    experiment: Annotated[
        str | None,
        typer.Option(help='Which draw; "" is that from ids of alerts.', show_default="that of the newest alert"),
    ] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Show what acting on alerts changed, against the customers held out (LOYALTY_HOLDOUT_EXPERIMENTS)."""
    from pipeline.analysis import holdout_effect
    from pipeline.cli.printing import output, reports

    measured = holdout_effect.measure(settings_of(data_dir, running=True), days, at, experiment)
    output.as_json(measured.as_data()) if json_ else reports.effect(measured)


@commands.command("surveys", epilog=example("loyalty report surveys --days 90"))
def surveys(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show recommendation, ease, satisfaction and intention; with --days also against the period before."""
    from pipeline.analysis import reports
    from pipeline.cli.printing import output
    from pipeline.cli.printing import reports as printing

    data = reports.surveys(settings_of(data_dir, running=True), at, days)
    output.as_json(data) if json_ else printing.surveys(data)


@commands.command("effort", epilog=example("loyalty report effort --days 90"))
def effort(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show what getting issues solved costs customers, by where the problem comes from."""
    from pipeline.analysis import reports
    from pipeline.cli.printing import output
    from pipeline.cli.printing import reports as printing

    data = reports.effort(settings_of(data_dir, running=True), at, days)
    output.as_json(data) if json_ else printing.effort(data)


@commands.command("shift", epilog=example("loyalty report shift --at 1998-06-30"))
def shift(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show how many customers are less and how many more loyal after a contact, beside the published 4 : 1."""
    from pipeline.analysis import reports
    from pipeline.cli.printing import output
    from pipeline.cli.printing import reports as printing

    data = reports.shift(settings_of(data_dir, running=True), at, days)
    output.as_json(data) if json_ else printing.shift(data)
