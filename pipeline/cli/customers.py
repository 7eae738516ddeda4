"""``loyalty customer``, ``explain`` and ``glossary``: one customer, and what the words mean."""

from datetime import datetime
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, At, DataDir, a_moment, example, settings_of

commands = typer.Typer()


@commands.command("customer", epilog=example("loyalty customer 00042"))
def customer(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    at: At = None,
    known_at: Annotated[datetime | None, a_moment("By what we knew then, not by what we know now")] = None,
) -> None:
    """Show what is known about a customer, and how loyal they are."""
    from pipeline.analysis import customer_profile
    from pipeline.cli.printing import customer as printing
    from pipeline.cli.printing import output

    profile = customer_profile.read(settings_of(data_dir, running=True), customer_id, at, known_at)
    output.as_json(customer_profile.as_data(profile)) if json_ else printing.show(profile)


@commands.command("explain", epilog=example("loyalty explain sim-1-000042 --at 2025-06-01T12:00:00Z"))
def explain(
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    at: At = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:  # fmt: skip
    """Show in plain words why a customer's churn risk is what it is, or was at any moment, from the log."""
    from pipeline.analysis import explanation
    from pipeline.cli.printing import explanation as printing
    from pipeline.cli.printing import output

    explained = explanation.explain(settings_of(data_dir, running=True), customer_id, at, output.counted)
    output.as_json(explained.as_data()) if json_ else printing.show(explained)


@commands.command("glossary", epilog=example('loyalty glossary "long-standing, not regular"'))
def glossary(
    term: Annotated[str | None, typer.Argument(metavar="[TERM]", help="One term; all without.")] = None,
    json_: AsJson = False,
) -> None:
    """Show what the words mean, in which version, and who said so first."""
    from pipeline.cli.printing import glossary as printing
    from pipeline.cli.printing import output
    from pipeline.core.glossary import lookup

    definitions = lookup.look_up(term)
    output.as_json(lookup.as_data(definitions)) if json_ else printing.show(definitions)
