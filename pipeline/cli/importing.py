"""``loyalty import``."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, Rate, example, settings_of
from pipeline.commands import importing, output
from pipeline.errors import Refused
from pipeline.importing import mapping as mappings


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("import", epilog=example("loyalty import orders.csv --mapping orders.toml --dry-run"))(import_)


def import_(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A .csv, .jsonl or .parquet file.")] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Which column is which field: a TOML file.", show_default=False)
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Check every row and send nothing.")] = False,
    example_mapping: Annotated[
        str | None,
        typer.Option(
            "--example-mapping", metavar="NAME", show_default=False,
            help="Print a mapping to start from: purchase, service_contact, survey_response, alert_outcome, "
            "shopify_orders or zendesk_tickets.",
        ),
    ] = None,
    most_rejects: Annotated[
        float, typer.Option(min=0, max=100, help="Send nothing when more percent of the rows than this do not fit.")
    ] = 1.0,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the desk as of events that happen now; history tells nobody.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send although the warehouse holds these events from elsewhere.")
    ] = False,
    rate: Rate = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:  # fmt: skip
    """Send a firm's history out of a file, with its original times; run again, it goes on where it was."""
    if example_mapping is not None:
        output.say(mappings.example(example_mapping).rstrip())
        return
    if file is None or mapping is None:
        raise Refused("name a file and a mapping; to start a mapping: loyalty import --example-mapping purchase")
    done = (
        importing.dry_run(file, mapping, notify=notify)
        if dry
        else importing.run(
            settings_of(data_dir, running=True), file, mapping,
            notify=notify, again=again, most_rejects=most_rejects, rate=rate,
        )
    )  # fmt: skip
    output.as_json(done.as_data()) if json_ else importing.show(done, dry=dry)
