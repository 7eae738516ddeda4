"""``loyalty webhooks``: who is told of alerts outside, and what became of it."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AlertSeverity, AsJson, DataDir, Limit, a_moment, example, settings_of
from pipeline.exits import leave, verdict

commands = typer.Typer(no_args_is_help=True, help="Webhooks: endpoints that are told of alerts, and every attempt.")

Name = Annotated[str, typer.Argument(metavar="ENDPOINT", help="An endpoint's name.")]


class Shape(StrEnum):
    """What an endpoint is sent."""

    STANDARD = "standard"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"
    JIRA = "jira"
    ZENDESK = "zendesk"
    SLACK = "slack"
    TEAMS = "teams"


class Language(StrEnum):
    """In which language."""

    EN = "en"
    DE = "de"


@commands.command("add", epilog=example("loyalty webhooks add desk https://desk.example/hooks --severity critical"))
def add(
    name: Annotated[str, typer.Argument(metavar="ENDPOINT", help="A name for it: small letters, digits, hyphens.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it is told, without a user or password in it.")],
    data_dir: DataDir = None,
    shape: Annotated[Shape, typer.Option(help="Whose format it takes.")] = Shape.STANDARD,
    language: Annotated[Language, typer.Option(help="Language of the texts.")] = Language.EN,
    severity: Annotated[
        list[AlertSeverity] | None, typer.Option(help="Only alerts this bad; may be given again.", show_default="all")
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            allow_dash=True,
            help='JSON file with {"headers": {…}, "credentials": {…}} for it; - reads standard input.',
        ),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="It may be on a private address or on this machine.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Add an endpoint and show the secret that signs its messages. Shown now and never again."""
    from pipeline.cli.printing import webhooks as printing
    from pipeline.webhooks import administration

    private = administration.private_in(printing.private_text(credentials))
    secret = administration.add(
        settings_of(data_dir),
        name,
        url,
        shape=shape.value,
        language=language.value,
        severities=[one.value for one in severity or ()],
        private=private,
        allow_private=allow_private,
    )
    printing.show_secret(name, secret, as_json=json_)


@commands.command("list", epilog=example("loyalty webhooks list --json"))
def list_(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show the endpoints; nothing secret of them."""
    from pipeline.cli.printing import output
    from pipeline.cli.printing import webhooks as printing
    from pipeline.webhooks import administration

    endpoints = administration.listed(settings_of(data_dir))
    output.as_json(endpoints) if json_ else printing.show_endpoints(endpoints)


@commands.command("test", epilog=example("loyalty webhooks test desk"))
def send_test(name: Name, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Send an endpoint a made-up alert, marked synthetic; exit code 1 when it is not taken."""
    import msgspec

    from pipeline.cli.printing import output
    from pipeline.cli.printing import webhooks as printing
    from pipeline.webhooks import administration
    from pipeline.webhooks.attempt import verdict as verdict_of

    answer = administration.tested(settings_of(data_dir), name)
    said = {key: value for key, value in msgspec.to_builtins(answer).items() if key != "body"}
    output.as_json(said) if json_ else printing.show_answer(name, said)
    leave(verdict(verdict_of(answer) == "delivered"))


@commands.command("rotate", epilog=example("loyalty webhooks rotate desk"))
def rotate(name: Name, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Give an endpoint a new secret; the old one signs too for a day. Shown now and never again."""
    from pipeline.cli.printing import webhooks as printing
    from pipeline.webhooks import administration

    printing.show_secret(name, administration.rotated(settings_of(data_dir), name), as_json=json_)


@commands.command("disable", epilog=example("loyalty webhooks disable desk"))
def disable(name: Name, data_dir: DataDir = None) -> None:
    """Send an endpoint nothing; what is pending for it waits."""
    from pipeline.cli.printing import output
    from pipeline.webhooks import administration

    administration.disable(settings_of(data_dir), name)
    output.say(f"{name} is sent nothing until: loyalty webhooks enable {name}")


@commands.command("enable", epilog=example("loyalty webhooks enable desk"))
def enable(name: Name, data_dir: DataDir = None) -> None:
    """Send an endpoint what is pending for it, and what comes."""
    from pipeline.cli.printing import output
    from pipeline.webhooks import administration

    administration.enable(settings_of(data_dir), name)
    output.say(f"{name} is told of alerts again.")


@commands.command("attempts", epilog=example("loyalty webhooks attempts --endpoint desk"))
def attempts(
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Limit = 20,
    endpoint: Annotated[str, typer.Option(help="Only those to this endpoint.", show_default=False)] = "",
    alert: Annotated[
        str, typer.Option(help="Only those about this alert, by its id's beginning.", show_default=False)
    ] = "",
) -> None:
    """Show the newest attempts to deliver a message."""
    from pipeline.cli.printing import output
    from pipeline.cli.printing import webhooks as printing
    from pipeline.webhooks import log

    found = log.attempts(settings_of(data_dir, running=True), limit, endpoint=endpoint, alert_id=alert)
    output.as_json(found) if json_ else printing.show_attempts(found)


@commands.command("replay", epilog=example("loyalty webhooks replay desk --since 2026-06-01"))
def replay(
    name: Name,
    since: Annotated[datetime, a_moment("Only what was told after this moment")],
    data_dir: DataDir = None,
    alert: Annotated[str, typer.Option(help="Only this alert, by its id's beginning.", show_default=False)] = "",
) -> None:
    """Send an endpoint again what was told since a moment, under the same ids."""
    from pipeline.cli.printing import output
    from pipeline.webhooks.replay import replayed

    count = replayed(settings_of(data_dir, running=True), name, since, alert)
    output.say(f"{count} messages are pending for {name}; a notifier sends them in their order.")
