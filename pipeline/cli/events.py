"""``loyalty import`` and ``loyalty simulate``: events from a file, and synthetic events."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import FIRST_DAY, AsJson, DataDir, Rate, example, settings_of
from pipeline.errors import Refused

commands = typer.Typer()


@commands.command("import", epilog=example("loyalty import orders.csv --mapping orders.toml --dry-run"))
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
    from pipeline.cli.printing import importing, output
    from pipeline.importing import mapping as mappings
    from pipeline.importing import run

    if example_mapping is not None:
        output.say(mappings.example(example_mapping).rstrip())
        return
    if file is None or mapping is None:
        raise Refused("name a file and a mapping; to start a mapping: loyalty import --example-mapping purchase")
    imported = (
        run.dry_run(file, mapping, output.counted, notify=notify)
        if dry
        else run.run(
            settings_of(data_dir, running=True), file, mapping, output.counted,
            notify=notify, again=again, most_rejects=most_rejects, rate=rate,
        )
    )  # fmt: skip
    output.as_json(imported.as_data()) if json_ else importing.show(imported, dry=dry)


@commands.command("simulate", epilog=example("loyalty simulate --customers 1000 --days 365 --seed 7 --rate 500"))
def simulate(
    customers_: Annotated[int, typer.Option("--customers", min=1, max=10_000_000, help="How many.")],
    days: Annotated[int, typer.Option(min=1, max=7_300, help="How many days of their lives.")],
    seed: Annotated[int, typer.Option(help="The same seed sends the same bytes.")],
    rate: Rate = None,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = FIRST_DAY,
    truth: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            show_default=False,
            help="Write what really happened to each customer to this file: JSON lines.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Send purchases, contacts, surveys and calls of a synthetic population, labelled synthetic."""
    from pipeline.cli.printing import output
    from pipeline.simulate import event_senders

    settings = settings_of(data_dir, running=True)
    sent = event_senders.population(settings, customers_, days, seed, start.date(), rate, truth, output.counted)
    output.say(f"Sent {sent} synthetic events.")
