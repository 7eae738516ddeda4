"""``loyalty topics``: create, list, accept and resume."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of

commands = typer.Typer(no_args_is_help=True, help="The Kafka topics.")


@commands.command("create", epilog=example("loyalty topics create"))
def create(data_dir: DataDir = None) -> None:
    """Create the topics that are missing and verify all of them."""
    from pipeline import kafka
    from pipeline.cli.printing import output

    created = kafka.create_topics(settings_of(data_dir, running=True))
    output.say(f"Created {', '.join(created)}." if created else "All topics exist and are as they should be.")


@commands.command("accept", epilog=example("loyalty topics accept surveys"))
def accept(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic, by its name in `loyalty topics list`.")],
    data_dir: DataDir = None,
) -> None:
    """Accept a topic that was deleted and created again, or records that expired before they were read."""
    from pipeline.cli.printing import topics
    from pipeline.operations import topic_acceptance

    topics.show(topic, topic_acceptance.accept(settings_of(data_dir, running=True), topic))


@commands.command("resume", epilog=example("loyalty topics resume purchases --as-dead-letters"))
def resume(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A stopped input; `loyalty status` names it.")],
    data_dir: DataDir = None,
    as_dead_letters: Annotated[
        bool, typer.Option("--as-dead-letters", help="Records in it now that cannot be used become dead letters.")
    ] = False,
) -> None:
    """Resume an input that was stopped because too many of its records could not be used."""
    from pipeline.cli.printing import output
    from pipeline.operations import stopped_inputs

    if stopped_inputs.resume(settings_of(data_dir, running=True), topic, as_dead_letters=as_dead_letters):
        output.say(f"{topic} goes on as soon as the workers have started again; they do by themselves.")
    else:
        output.say(f"{topic} does not stand.")


@commands.command("list", epilog=example("loyalty topics list --json"))
def list_(json_: AsJson = False) -> None:
    """Show the table of topics."""
    from pipeline.cli.printing import output
    from pipeline.topics import EVERY_TOPIC

    rows = [
        {
            "topic": t.name,
            "role": t.role,
            "key": t.key,
            "values": t.schema,
            "holds": t.retention,
            "timestamp": "broker append time",
        }
        for t in EVERY_TOPIC
    ]
    output.as_json(rows) if json_ else output.table(list(rows[0]), [list(row.values()) for row in rows])
