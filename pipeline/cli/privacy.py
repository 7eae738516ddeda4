"""``loyalty erase`` and ``loyalty export``: what a customer may ask for."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.erasure.reasons import ErasureReason

commands = typer.Typer()
CustomerId = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")]


@commands.command("erase", epilog=example("loyalty erase 00042 --reason customer-request --dry-run"))
def erase(
    customer_id: CustomerId,
    reason: Annotated[ErasureReason, typer.Option(help="Why; free text would be one more place for personal data.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    even_if_unknown: Annotated[
        bool, typer.Option("--even-if-unknown", help="Keep out somebody of whom nothing is known.")
    ] = False,
) -> None:
    """Erase a customer everywhere, for good, with a receipt; whatever is replayed later, they do not come back."""
    if json_ and not (yes or dry_run):
        raise typer.BadParameter("--json cannot ask; add --yes, or --dry-run")
    from pipeline.cli.printing import erasure as printing
    from pipeline.cli.printing import output
    from pipeline.erasure import erase as erasing
    from pipeline.erasure import receipt
    from pipeline.sink.open_intents import intents

    settings = settings_of(data_dir, running=True)
    plan = erasing.look(settings, customer_id, output.counted)
    erasing.check_known(plan, even_if_unknown=even_if_unknown)
    if dry_run:
        output.as_json(receipt.plan_data(plan)) if json_ else printing.show_plan(plan)
        return
    if not yes:
        printing.show_plan(plan)
        typer.confirm("Erase all of this for good?", abort=True)
    erased = erasing.erase(settings, plan, reason, output.note, intents, output.counted)
    output.as_json(erased.as_data()) if json_ else printing.show_receipt(erased)
    printing.show_open_alerts(plan.open_alerts)


@commands.command("export", epilog=example("loyalty export 00042 --out customer-00042.json"))
def export(
    customer_id: CustomerId,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, show_default="standard output", help="A new file that only you can read."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write everything that is held about a customer, for their request to see it: one JSON document."""
    from pipeline.cli.printing import output
    from pipeline.erasure import export as exporting

    settings = settings_of(data_dir, running=True)
    exporting.check_free(out)
    document = exporting.collect(settings, customer_id, output.counted)
    if out is None:
        output.as_json(document)
        return
    exporting.write(out, document)
    output.note(f"{exporting.size(document)} rows and records about the customer are in {out}.")
