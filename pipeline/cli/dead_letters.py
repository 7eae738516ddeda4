"""``loyalty dead-letters``: list, show and replay."""

import sys
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, Limit, example, settings_of
from pipeline.errors import Reason
from pipeline.exits import Exit, leave

REFUSED_SHOWN = 20
commands = typer.Typer(no_args_is_help=True, help="Records that could not be used.")


@commands.command("list", epilog=example("loyalty dead-letters list --json"))
def list_(data_dir: DataDir = None, json_: AsJson = False, limit: Limit = 20) -> None:
    """Show the newest dead letters, and how many there are by reason."""
    from pipeline.cli.printing import dead_letters as printing
    from pipeline.cli.printing import output
    from pipeline.operations import dead_letters

    letters = dead_letters.distinct(dead_letters.read(settings_of(data_dir, running=True)))
    output.as_json([letter.as_data() for letter in letters]) if json_ else printing.show_list(letters, limit)


@commands.command("show", epilog=example("loyalty dead-letters show 2-15 > record.json"))
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it, such as 2-15.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="The original bytes and nothing else.")] = False,
) -> None:
    """Show one dead letter with its original bytes."""
    from pipeline.cli.printing import dead_letters as printing
    from pipeline.cli.printing import output
    from pipeline.operations import dead_letters

    letter = dead_letters.find(settings_of(data_dir, running=True), identity)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    else:
        output.as_json(letter.as_data()) if json_ else printing.show_one(letter)


@commands.command("replay", epilog=example("loyalty dead-letters replay --reason wrong-partition"))
def replay(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", show_default=False, help="Only this one, such as 2-15.")
    ] = None,
    data_dir: DataDir = None,
    reason: Annotated[Reason | None, typer.Option(help="All with this reason.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters to the topic they came from, once the cause is gone."""
    from pipeline.cli.printing import output
    from pipeline.operations import dead_letters

    if sum((identity is not None, reason is not None, all_)) != 1:
        raise typer.BadParameter("name one dead letter, or --reason, or --all")
    settings = settings_of(data_dir, running=True)
    if identity is not None:
        dead_letters.find(settings, identity)
    replayed = dead_letters.replay(
        settings, lambda letter: all_ or letter.identity == identity or letter.reason == reason
    )
    output.say(f"Sent {replayed.sent} record{'s' if replayed.sent != 1 else ''} again.")
    if replayed.of_erased:
        output.say(f"{replayed.of_erased} name customers who were erased and stay where they are.")
    for refused, why in replayed.refused[:REFUSED_SHOWN]:
        output.say(f"{refused} was not taken: {why}")
    if replayed.refused:
        output.say(f"Kafka did not take {len(replayed.refused)}; they are still dead letters, and can be sent again.")
        leave(Exit.FAILED)
