"""``loyalty rebuild``: states and tables made again from the topics."""

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
        bool, typer.Option("--accept-fewer", help="Continue even if some existing rows would no longer be produced.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget-expired", help="Continue even if events have left the topics: states lose them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Rebuild states and tables from the topics next to the live ones, then swap them; a rerun continues."""
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
        typer.confirm("Fill every table again and replace the live one with it?", abort=True)
    if of_states:
        typer.confirm("Fold all events again and replace the live states that differ?", abort=True)


def _warehouse(settings: Settings, *, accept_fewer: bool) -> None:
    from pipeline.cli.printing import output
    from pipeline.rebuild import tables

    with output.bar(unit="records") as bar:
        task = bar.add_task("filling", total=None)
        rebuilt = tables.rebuild(
            settings,
            lambda what, n, of: bar.update(task, description=what, completed=n, total=of),
            accept_fewer=accept_fewer,
        )
    output.say(
        f"Swapped {len(rebuilt.tables)} tables: {', '.join(sorted(rebuilt.tables))}. The sinks go on by themselves."
    )
    for table, count in rebuilt.carried.items():
        output.say(f"{count} rows of {table} were carried over: their records have left the topics.")
    for table, count in rebuilt.fewer.items():
        output.say(f"{count} rows of {table} are no longer produced.")


def _states(settings: Settings, *, forget_expired: bool) -> None:
    from pipeline.cli.printing import output
    from pipeline.rebuild import states
    from pipeline.worker.stores import open_store

    with output.bar(unit="events") as bar:
        task = bar.add_task("folding", total=None)
        rebuilt = states.rebuild(
            settings,
            lambda partition: open_store(settings, partition, "rebuild"),
            lambda what, n, of: bar.update(task, description=what, completed=n, total=of),
            forget_expired=forget_expired,
        )
    outcome = f"{rebuilt.changed} differed and were put into place, {rebuilt.erased} of nobody's events were erased"
    if not rebuilt.changed and not rebuilt.erased:
        outcome = "all equal the live ones"
    messages = f"The desk got {rebuilt.told} messages" if rebuilt.told else "Nobody was told anything"
    output.say(f"Folded {rebuilt.states} states again: {outcome}. {messages}.")
    output.say(f"The workers waited {rebuilt.waited:.0f} s and go on by themselves.")
    if rebuilt.kept:
        output.say(f"{rebuilt.kept} states hold more than the workers had committed, and stay as they are.")
