"""``loyalty rebuild``."""

from typing import Annotated

import typer

from pipeline.cli.options import DataDir, example, settings_of
from pipeline.config import Settings

commands = typer.Typer()


@commands.command("rebuild", epilog=example("loyalty rebuild --warehouse --yes"))
def rebuild(
    data_dir: DataDir = None,
    warehouse: Annotated[bool, typer.Option("--warehouse", help="The tables only; beside running processes.")] = False,
    states_: Annotated[bool, typer.Option("--states", help="The states only; beside running processes.")] = False,
    accept_fewer: Annotated[
        bool, typer.Option("--accept-fewer", help="Go on although records do not make the rows any more they made.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget-expired", help="Go on although events have left the topics: states lose them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make states and warehouse anew from the topics, beside the live ones, and swap. Run again, it goes on."""
    settings = settings_of(data_dir, running=True)
    both = warehouse == states_
    if not yes:
        _confirm(warehouse=warehouse or both, of_states=states_ or both)
    if states_ or both:
        _states(settings, forget_expired=forget)
    if warehouse or both:
        _warehouse(settings, accept_fewer=accept_fewer)


def _confirm(*, warehouse: bool, of_states: bool) -> None:
    if warehouse:
        typer.confirm("Fill every table anew and put it into the place of the live one?", abort=True)
    if of_states:
        typer.confirm("Fold all events again and put what differs into the place of the live states?", abort=True)


def _warehouse(settings: Settings, *, accept_fewer: bool) -> None:
    from pipeline.cli.printing import output
    from pipeline.rebuild import tables

    with output.bar(unit="records") as bar:
        task = bar.add_task("filling", total=None)
        done = tables.rebuild(
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
    from pipeline.cli.printing import output
    from pipeline.rebuild import states
    from pipeline.worker.stores import open_store

    with output.bar(unit="events") as bar:
        task = bar.add_task("folding", total=None)
        done = states.rebuild(
            settings,
            lambda partition: open_store(settings, partition, "rebuild"),
            lambda what, n, of: bar.update(task, description=what, completed=n, total=of),
            forget_expired=forget_expired,
        )
    found = f"{done.changed} differed and were put into place, {done.erased} of nobody's events were erased"
    if not done.changed and not done.erased:
        found = "all equal the live ones"
    told = f"The desk got {done.told} messages" if done.told else "Nobody was told anything"
    output.say(f"Folded {done.states} states again: {found}. {told}.")
    output.say(f"The workers waited {done.waited:.0f} s and go on by themselves.")
    if done.kept:
        output.say(f"{done.kept} states hold more than the workers had committed, and stay as they are.")
