"""``loyalty warehouse``: its schema, and the embedded engine as a process."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.exits import leave, verdict

commands = typer.Typer(
    help="The warehouse: its schema, and the embedded engine. Without a subcommand the same as `serve`."
)


@commands.callback(invoke_without_command=True)
def warehouse(context: typer.Context) -> None:
    """The warehouse: its schema, and the embedded engine. Without a subcommand the same as `serve`."""
    if context.invoked_subcommand is None:
        serve()


@commands.command("serve", epilog=example("LOYALTY_CLICKHOUSE=http://127.0.0.1:8123 loyalty warehouse serve"))
def serve() -> None:
    """Run the embedded warehouse: ClickHouse's HTTP protocol on loopback."""
    from pipeline.local.warehouse import run

    run(settings_of())


@commands.command("migrate", epilog=example("loyalty warehouse migrate --dry-run"))
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL that would run; change nothing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring the warehouse's schema up to date; what was interrupted is finished by running it again."""
    from pipeline.cli.printing import output
    from pipeline.operations import schema

    settings = settings_of(data_dir, running=True)
    if dry_run:
        typer.echo(schema.planned(settings), nl=False)
        return
    applied = schema.migrate(settings, lambda name: output.say(f"Applying {name}"))
    output.say(f"Applied {len(applied)} migrations." if applied else "Nothing to do: all migrations are applied.")


@commands.command("status", epilog=example("loyalty warehouse status --json"))
def status(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show which migrations are applied, pending or changed since; exit code 1 unless all are applied."""
    from pipeline.cli.printing import output
    from pipeline.cli.printing import schema as printing
    from pipeline.operations import schema

    migrations = schema.standing(settings_of(data_dir, running=True))
    output.as_json([one._asdict() for one in migrations]) if json_ else printing.show(migrations)
    leave(verdict(all(one.state == "applied" for one in migrations)))


@commands.command("dictionary", epilog=example("loyalty warehouse dictionary > dictionary.md"))
def dictionary(
    picture: Annotated[
        bool, typer.Option("--picture", help="Print instead which table feeds which view, as text of 80 columns.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Print every table, view and column with its meaning, as a page in Markdown."""
    from pipeline.operations import schema

    settings = settings_of(data_dir, running=True)
    typer.echo(schema.drawn(settings) if picture else schema.described(settings), nl=False)


@commands.command("parameters", epilog=example("loyalty warehouse parameters fit/parameters.json"))
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
    from pipeline.analysis import parameters
    from pipeline.cli.printing import output
    from pipeline.cli.printing import parameters as printing

    recorded, on_record = parameters.put_on_record(settings_of(data_dir, running=True), file)
    if json_:
        output.as_json(on_record)
    else:
        printing.show(recorded, on_record)


@commands.command("score", epilog=example("loyalty warehouse score --policy priors-2"))
def score(
    policy: Annotated[
        str | None,
        typer.Option(metavar="VERSION", show_default="the current one", help="A risk policy that is on record."),
    ] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Keep the churn risk after every service contact, with its contributions; goes on where it ended."""
    from pipeline.analysis import score_history
    from pipeline.cli.printing import output

    scored = score_history.run(settings_of(data_dir, running=True), policy, output.counted)
    if json_:
        output.as_json(scored._asdict())
    elif not scored.customers:
        output.say(f"Every customer with a service contact is scored already under {scored.policy_version}.")
    else:
        output.say(
            f"{scored.scores} scores of {scored.customers} customers under {scored.policy_version}; "
            "read them in the views scored_contacts and scores."
        )
