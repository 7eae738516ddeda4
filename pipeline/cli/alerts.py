"""``loyalty alerts``: list, show and tail."""

from typing import Annotated

import typer

from pipeline.cli.options import AlertSeverity, AlertStatus, AsJson, At, DataDir, Limit, example, settings_of

commands = typer.Typer(no_args_is_help=True, help="Churn alerts for the service desk.")


@commands.command("list", epilog=example("loyalty alerts list --severity critical"))
def list_(
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Limit = 20,
    status: Annotated[AlertStatus, typer.Option(help="Which alerts.")] = AlertStatus.OPEN,
    severity: Annotated[AlertSeverity | None, typer.Option(help="Only these.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Those kept from the desk, to measure what acting does.")
    ] = False,
    at: At = None,
) -> None:
    """Show alerts, newest first, and outcomes that name none of them."""
    from pipeline.analysis import alerts
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output

    settings = settings_of(data_dir, running=True)
    listed = alerts.listed(settings, status, severity, limit, held_out=held_out, at=at)
    if json_:
        output.as_json(listed.as_data())
    else:
        printing.show_list(listed)
        printing.show_astray(alerts.astray(settings))


@commands.command("show", epilog=example("loyalty alerts show 4e71bad03099"))
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its beginning.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    at: At = None,
) -> None:
    """Show one alert in full: why, what to do, what was told when."""
    from pipeline.analysis import alerts
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output

    alert = alerts.one(settings_of(data_dir, running=True), identity, at)
    output.as_json(alert.as_data()) if json_ else printing.show_one(alert)


@commands.command("tail", epilog=example("loyalty alerts tail --json"))
def tail(
    data_dir: DataDir = None,
    json_: AsJson = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)] = None,
) -> None:
    """Show messages to the desk as they come, until Ctrl-C."""
    from pipeline.analysis import alerts
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output

    for message in alerts.tailed(settings_of(data_dir, running=True), count):
        output.as_json(message) if json_ else printing.show_message(message)
