"""``loyalty warehouse``: its schema, and the embedded engine as a process."""

from typing import Annotated

import typer

from pipeline.cli import parameters
from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.commands import output, schema

warehouse_cli = typer.Typer(
    help="The warehouse: its schema, and the embedded engine. Without a subcommand the same as `serve`."
)
parameters.register(warehouse_cli)


@warehouse_cli.callback(invoke_without_command=True)
def warehouse(context: typer.Context) -> None:
    """The warehouse: its schema, and the embedded engine. Without a subcommand the same as `serve`."""
    if context.invoked_subcommand is None:
        serve()


@warehouse_cli.command("serve", epilog=example("LOYALTY_CLICKHOUSE=http://127.0.0.1:8123 loyalty warehouse serve"))
def serve() -> None:
    """Run the embedded warehouse: ClickHouse's HTTP protocol on loopback."""
    from pipeline.local.warehouse import run  # noqa: PLC0415 - only this command needs it

    run(settings_of())


@warehouse_cli.command("migrate", epilog=example("loyalty warehouse migrate --dry-run"))
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL that would run; change nothing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring the warehouse's schema up to date; what was interrupted is finished by running it again."""
    settings = settings_of(data_dir, running=True)
    if dry_run:
        typer.echo(schema.planned(settings), nl=False)
        return
    done = schema.migrate(settings, lambda name: output.say(f"Applying {name}"))
    output.say(f"Applied {len(done)} migrations." if done else "Nothing to do: all migrations are applied.")


@warehouse_cli.command("status", epilog=example("loyalty warehouse status --json"))
def status(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show which migrations are applied, pending or changed since; exit code 1 unless all are applied."""
    found = schema.standing(settings_of(data_dir, running=True))
    output.as_json([one._asdict() for one in found]) if json_ else schema.show(found)
    raise typer.Exit(0 if all(one.state == "applied" for one in found) else 1)


@warehouse_cli.command("dictionary", epilog=example("loyalty warehouse dictionary > dictionary.md"))
def dictionary(data_dir: DataDir = None) -> None:
    """Print every table, view and column with its meaning, as a page in Markdown."""
    typer.echo(schema.described(settings_of(data_dir, running=True)), nl=False)
