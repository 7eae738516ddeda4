"""``loyalty rebuild``."""

from typing import Annotated

import typer

from pipeline.cli.options import DataDir, example, settings_of
from pipeline.commands import output, rebuild_warehouse
from pipeline.commands import rebuild as states
from pipeline.config import Settings


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("rebuild", epilog=example("loyalty rebuild --warehouse --yes"))(rebuild)


def rebuild(
    data_dir: DataDir = None,
    warehouse: Annotated[bool, typer.Option("--warehouse", help="The tables only; beside running processes.")] = False,
    states_: Annotated[bool, typer.Option("--states", help="The states only; with no worker running.")] = False,
    accept_fewer: Annotated[
        bool, typer.Option("--accept-fewer", help="Go on although records do not make the rows any more they made.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget-expired", help="Go on although events have left the topics: states lose them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make warehouse and states anew from the topics; the desk is told only what differs. Run again, it goes on."""
    settings = settings_of(data_dir, running=True)
    both = warehouse == states_
    if not yes:
        _confirm(warehouse=warehouse or both, of_states=states_ or both)
    if states_ or both:
        states.check(settings, forget_expired=forget)
    if warehouse or both:
        _warehouse(settings, accept_fewer=accept_fewer)
    if states_ or both:
        _states(settings, forget_expired=forget)


def _confirm(*, warehouse: bool, of_states: bool) -> None:
    if warehouse:
        typer.confirm("Fill every table anew and put it into the place of the live one?", abort=True)
    if of_states:
        typer.confirm("Erase every customer's state and fold all events again?", abort=True)


def _warehouse(settings: Settings, *, accept_fewer: bool) -> None:
    with output.bar(unit="records") as bar:
        task = bar.add_task("filling", total=None)
        done = rebuild_warehouse.rebuild(
            settings,
            lambda what, n, of: bar.update(task, description=what, completed=n, total=of),
            accept_fewer=accept_fewer,
        )
    output.say(f"Swapped {len(done.tables)} tables: {', '.join(sorted(done.tables))}. The sinks go on by themselves.")
    for table, count in done.carried.items():
        output.say(f"{count} rows of {table} were carried over: their records have left the topics.")
    for table, count in done.fewer.items():
        output.say(f"{count} rows of {table} are not made any more.")


def _states(settings: Settings, *, forget_expired: bool) -> None:
    with output.bar(unit="states") as bar:
        task = bar.add_task("Erasing states", total=None)
        erased = states.rebuild(
            settings, lambda count: bar.update(task, completed=count), forget_expired=forget_expired
        )
    output.say(f"Erased {erased} states. Start the workers: they fold all events again and tell only what differs.")
