"""``loyalty alerts``: list, show, tail and done."""

from datetime import datetime
from typing import Annotated

import typer

from pipeline.cli.options import (
    AlertSeverity,
    AlertSort,
    AlertStatus,
    AlertTransition,
    AsJson,
    At,
    DataDir,
    DeskAction,
    DeskReason,
    DeskResult,
    Limit,
    a_moment,
    example,
    settings_of,
)

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
    sort: Annotated[
        AlertSort,
        typer.Option(help="By the risk times what the customer pays a year, by the risk alone, or the newest first."),
    ] = AlertSort.VALUE,
) -> None:
    """Show alerts, the most expected to be lost first, and outcomes that name none of them."""
    from pipeline.analysis import alerts
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output

    settings = settings_of(data_dir, running=True)
    listed = alerts.listed(settings, status, severity, limit, held_out=held_out, sort=sort, at=at)
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
    """Show one alert in full: why, what to do, what was told when, who did what, what the customer is worth."""
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
    severity: Annotated[AlertSeverity | None, typer.Option(help="Only these.")] = None,
    transition: Annotated[AlertTransition | None, typer.Option(help="Only these.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only those of this customer.", show_default=False)] = None,
) -> None:
    """Show messages to the desk as they come, until Ctrl-C."""
    from pipeline.analysis import alerts
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output

    wanted = {"severity": severity, "transition": transition, "customer_id": customer}
    for message in alerts.tailed(settings_of(data_dir, running=True), count, **wanted):
        output.as_json(message) if json_ else printing.show_message(message)


@commands.command("done", epilog=example("loyalty alerts done 4e71bad03099 --result not_needed --reason solved_itself"))
def done(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its beginning.")],
    result: Annotated[
        DeskResult,
        typer.Option(help="What came of it; retained, lost and not_needed close the alert.", show_default=False),
    ],
    reason: Annotated[DeskReason | None, typer.Option(help="Why; it must go with the result.")] = None,
    action: Annotated[
        DeskAction | None, typer.Option(help="What was done.", show_default="called; none where it was not needed")
    ] = None,
    desk: Annotated[str | None, typer.Option(help="Which desk.", show_default=False)] = None,
    note: Annotated[str | None, typer.Option(help="What else is to be known.", show_default=False)] = None,
    when: Annotated[datetime | None, a_moment("When it happened", "now")] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:  # fmt: skip
    """Report what was done about an alert and what came of it. The same report counts once."""
    from pipeline.cli.printing import alerts as printing
    from pipeline.cli.printing import output
    from pipeline.operations import desk_reports

    taken = action or (DeskAction.NONE if result is DeskResult.NOT_NEEDED else DeskAction.CALLED)
    report = desk_reports.DeskReport(result=result, action=taken, reason=reason, desk=desk, note=note, at=when)
    recorded = desk_reports.record(settings_of(data_dir, running=True), identity, report)
    output.as_json(recorded.as_data()) if json_ else printing.show_recorded(recorded)
