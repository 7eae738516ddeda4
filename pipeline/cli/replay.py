"""``loyalty replay``: real purchases of a published data set."""

from typing import Annotated

import typer

from pipeline.cli.options import DataDir, Rate, example, settings_of

commands = typer.Typer(no_args_is_help=True, help="Send real purchases.")


@commands.command("cdnow", epilog=example("loyalty replay cdnow --sample"))
def cdnow(
    data_dir: DataDir = None,
    sample: Annotated[bool, typer.Option("--sample", help="The papers' 1/10 sample only.")] = False,
    rate: Rate = None,
) -> None:
    """Send the CDNOW purchases with their original dates, 1997 and 1998."""
    from pipeline.cli.printing import output
    from pipeline.simulate import event_senders

    settings = settings_of(data_dir, running=True)
    sent = event_senders.cdnow_purchases(settings, output.counted, sample=sample, rate=rate)
    output.say(f"Sent {sent} purchases.")


@commands.callback()
def group() -> None:
    """Send real purchases."""
