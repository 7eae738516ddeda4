"""``loyalty fit``: learn risk coefficients and purchase models."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.errors import Refused
from pipeline.exits import leave, verdict

commands = typer.Typer(no_args_is_help=True, help="Learn parameters from your own history.")


class Observation(StrEnum):
    """What counts as one observation."""

    CONTACT = "contact"
    ISSUE = "issue"


@commands.command("risk", epilog=example("loyalty fit risk --simulated 20000 --policy risk-policy.json"))
def fit_risk(
    data_dir: DataDir = None,
    simulated: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, show_default=False, help="Learn from so many simulated customers instead."),
    ] = None,
    policy: Annotated[Path, typer.Option(dir_okay=False, help="Write the learned policy to this file.")] = Path(
        "risk-policy.json"
    ),
    picture: Annotated[Path, typer.Option(dir_okay=False, help="Write the reliability picture to this file.")] = Path(
        "risk-reliability.png"
    ),
    per: Annotated[Observation, typer.Option(help="One observation for each contact, or for each issue.")] = (
        Observation.CONTACT
    ),
    gaps: Annotated[
        float, typer.Option(min=0.5, max=100, help="Silent: nothing bought for this many of the customer's own gaps.")
    ] = 3.0,
    shortest: Annotated[float, typer.Option(min=30, max=3_650, help="... but at least so many days.")] = 60.0,
    longest: Annotated[float, typer.Option(min=30, max=3_650, help="... and at most so many days.")] = 365.0,
    capacity: Annotated[int, typer.Option(min=1, help="Contacts the desk can act on in a day.")] = 5,
    force: Annotated[
        bool, typer.Option("--force", help="Write the policy although it is no better than the baseline.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Learn the churn risk's coefficients from the warehouse, test them on what came later, write a policy file."""
    if shortest > longest:
        raise typer.BadParameter("--shortest is longer than --longest")
    try:
        from pipeline.analysis import risk_fitting
    except ModuleNotFoundError as missing:
        from pipeline.extras import remedy

        raise Refused(f"{missing.name} is not installed; {remedy('fit')}") from None
    from pipeline.cli.printing import output
    from pipeline.cli.printing import risk_fitting as printing

    source = simulated if simulated is not None else settings_of(data_dir, running=True)
    learned = risk_fitting.learn_risk(source, (gaps, shortest, longest), per.value, capacity, output.counted)
    printing.conclude(learned, policy, picture, force=force, as_json=json_, simulated=simulated is not None)


@commands.command("purchases", epilog=example("loyalty fit purchases cdnow-sample --out fit --force"))
def fit_purchases(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="warehouse, cdnow, cdnow-sample, or a CSV file.")
    ] = "warehouse",
    data_dir: DataDir = None,
    json_: AsJson = False,
    weeks: Annotated[
        int | None,
        typer.Option("--calibration-weeks", min=1, show_default="half of the history", help="Learn from these first."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--calibration-until", formats=["%Y-%m-%d"], show_default=False, help="Or: up to this day."),
    ] = None,
    horizon: Annotated[
        float | None, typer.Option(show_default="the rest of the history", help="Test on so many weeks after that.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(show_default=False, help="Of several, the one whose amounts count as spend.")
    ] = None,
    spend: Annotated[bool, typer.Option("--spend/--no-spend", help="Learn how much people spend, too.")] = True,
    out: Annotated[
        Path | None, typer.Option(show_default=False, help="Folder for parameters, report and pictures.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write parameters although something speaks against.")] = False,
) -> None:
    """Learn who buys again, how often and how much, and test it on unseen weeks; exit code 1 when it is of no use."""
    from pipeline.analysis import purchase_fitting
    from pipeline.cli.printing import output

    purchase_fitting.check_libraries()
    folder = None if out is None else purchase_fitting.folder_of(out)
    fitted = purchase_fitting.fit_purchases(
        source,
        lambda: settings_of(data_dir, running=True),
        output.counted,
        weeks=weeks,
        until=until and until.date(),
        horizon=horizon,
        currency=currency,
        spend=spend,
        force=force,
    )
    if json_:
        output.as_json(fitted.data)
    for line in () if json_ else fitted.lines:
        output.say(line)
    if folder is not None:
        names = purchase_fitting.write(fitted, folder, force=force)
        forced = " Forced, and the parameter file says so." if fitted.learning.learned.forced else ""
        if not json_:
            output.say(f"Written to {folder}: {', '.join(names)}.{forced}")
    leave(verdict(force or not fitted.learning.objections))
