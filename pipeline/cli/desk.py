"""``loyalty alerts`` and ``loyalty dead-letters``."""

import sys
from typing import Annotated

import typer

from pipeline.cli.options import AlertSeverity, AlertStatus, AsJson, DataDir, Limit, example, settings_of
from pipeline.commands import (
    alerts,
    letters,
    output,
)
from pipeline.errors import Reason

REFUSED_SHOWN = 20
letters_cli = typer.Typer(no_args_is_help=True, help="Records that could not be used.")
alerts_cli = typer.Typer(no_args_is_help=True, help="Churn alerts for the service desk.")


@letters_cli.command("list", epilog=example("loyalty dead-letters list --json"))
def letters_list(data_dir: DataDir = None, json_: AsJson = False, limit: Limit = 20) -> None:
    """Show the newest dead letters, and how many there are by reason."""
    found = letters.distinct(letters.read(settings_of(data_dir, running=True)))
    output.as_json([letter.as_data() for letter in found]) if json_ else letters.show_list(found, limit)


@letters_cli.command("show", epilog=example("loyalty dead-letters show 2-15 > record.json"))
def letters_show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it, such as 2-15.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="The original bytes and nothing else.")] = False,
) -> None:
    """Show one dead letter with its original bytes."""
    letter = letters.find(settings_of(data_dir, running=True), identity)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    else:
        output.as_json(letter.as_data()) if json_ else letters.show_one(letter)


@letters_cli.command("replay", epilog=example("loyalty dead-letters replay --reason wrong-partition"))
def letters_replay(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", show_default=False, help="Only this one, such as 2-15.")
    ] = None,
    data_dir: DataDir = None,
    reason: Annotated[Reason | None, typer.Option(help="All with this reason.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters to the topic they came from, once the cause is gone."""
    if sum((identity is not None, reason is not None, all_)) != 1:
        raise typer.BadParameter("name one dead letter, or --reason, or --all")
    settings = settings_of(data_dir, running=True)
    if identity is not None:
        letters.find(settings, identity)
    done = letters.replay(settings, lambda letter: all_ or letter.identity == identity or letter.reason == reason)
    output.say(f"Sent {done.sent} record{'s' if done.sent != 1 else ''} again.")
    if done.of_erased:
        output.say(f"{done.of_erased} name customers who were erased and stay where they are.")
    for refused, why in done.refused[:REFUSED_SHOWN]:
        output.say(f"{refused} was not taken: {why}")
    if done.refused:
        output.say(f"Kafka did not take {len(done.refused)}; they are still dead letters, and can be sent again.")
        raise typer.Exit(1)


@alerts_cli.command("list", epilog=example("loyalty alerts list --severity critical"))
def alerts_list(
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Limit = 20,
    status: Annotated[AlertStatus, typer.Option(help="Which alerts.")] = AlertStatus.OPEN,
    severity: Annotated[AlertSeverity | None, typer.Option(help="Only these.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Those kept from the desk, to measure what acting does.")
    ] = False,
) -> None:
    """Show alerts, newest first, and outcomes that name none of them."""
    settings = settings_of(data_dir, running=True)
    found = alerts.listed(settings, status, severity, limit, held_out=held_out)
    if json_:
        output.as_json(found)
    else:
        alerts.show_list(found)
        alerts.show_astray(alerts.astray(settings))


@alerts_cli.command("show", epilog=example("loyalty alerts show 4e71bad03099"))
def alerts_show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its beginning.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Show one alert in full: why, what to do, what was told when."""
    alert, told = alerts.one(settings_of(data_dir, running=True), identity)
    output.as_json(alert | {"told": told}) if json_ else alerts.show_one(alert, told)


@alerts_cli.command("tail", epilog=example("loyalty alerts tail --json"))
def alerts_tail(
    data_dir: DataDir = None,
    json_: AsJson = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)] = None,
) -> None:
    """Show messages to the desk as they come, until Ctrl-C."""
    for message in alerts.tailed(settings_of(data_dir, running=True), count):
        output.as_json(message) if json_ else alerts.show_message(message)
