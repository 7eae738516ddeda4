"""``loyalty up``, ``demo``, ``reset``, ``worker``, ``sink`` and ``notifier``: the local stack and its processes."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, MetricsPort, Port, example, settings_of
from pipeline.errors import NobodyReads, Refused

commands = typer.Typer()


@commands.command("up", epilog=example("loyalty up --data-dir ~/loyalty --warehouse-port 8123"))
def up(
    data_dir: DataDir = None,
    kafka_port: Port = None,
    controller_port: Port = None,
    warehouse_port: Port = None,
    metrics_port: MetricsPort = None,
    kafka_address: Annotated[
        str | None,
        typer.Option(
            "--kafka", show_default=False, help="HOST:PORT of an existing Kafka to use instead of a private one."
        ),
    ] = None,
    kafka_jars: Annotated[Path | None, typer.Option(help="Folder that holds Kafka's jars.", show_default=False)] = None,
) -> None:
    """Start broker, warehouse, worker, sink and notifier here, and keep them running until Ctrl-C."""
    from pipeline.cli.printing import local_stack

    settings = local_stack.configured(
        settings_of(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
        kafka=kafka_address,
        kafka_jars=kafka_jars,
    )
    with local_stack.running(settings, own_broker=kafka_address is None):
        with suppress(NobodyReads, Refused):  # nobody has to read where everything is
            local_stack.addresses(settings)
        local_stack.wait_for_the_end()


@commands.command("demo", epilog=example("loyalty demo --exit"))
def demo(
    data_dir: DataDir = None,
    kafka_port: Port = None,
    controller_port: Port = None,
    warehouse_port: Port = None,
    metrics_port: MetricsPort = None,
    leave: Annotated[bool, typer.Option("--exit", help="Stop when the report is done.")] = False,
    json_: AsJson = False,
) -> None:
    """Start the stack, send 69,659 real purchases and simulated service, and report what came out."""
    from pipeline.cli.printing import demo, local_stack

    settings = local_stack.configured(
        settings_of(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
    )
    failure = demo.run(settings, as_json=json_, leave=leave)
    if failure is not None:
        raise failure


@commands.command("reset", epilog=example("loyalty reset --data-dir ~/loyalty --yes"))
def reset(data_dir: DataDir = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove all data of the local stack: topics, states, warehouse and logs."""
    from pipeline.cli.printing import output
    from pipeline.local import resetting

    directory = settings_of(data_dir).directory
    if not yes:
        typer.confirm(f"Remove all loyalty data in {directory}?", abort=True)
    removed = resetting.reset(directory)
    output.say(f"Removed {', '.join(removed)} from {directory}." if removed else f"Nothing to remove in {directory}.")


@commands.command("worker", epilog=example("LOYALTY_KAFKA=broker:9092 loyalty worker"))
def worker() -> None:
    """Run a worker: events to customer states, alerts and dead letters."""
    from pipeline.worker.app import run

    run(settings_of())


@commands.command("sink", epilog=example("LOYALTY_CLICKHOUSE=http://clickhouse:8123 loyalty sink"))
def sink() -> None:
    """Run a sink: every topic into ClickHouse."""
    from pipeline.sink.app import run

    run(settings_of())


@commands.command("notifier", epilog=example("LOYALTY_KAFKA=broker:9092 loyalty notifier"))
def notifier() -> None:
    """Run a notifier: alerts to the webhooks of other systems."""
    from pipeline.webhooks.app import run

    run(settings_of())
