"""The command ``loyalty``. Each command reads its settings once and calls one function.

Exit codes: 0 done, 1 no (not found, not healthy, not exact), 2 wrong usage, 3 a service is away, 4 refused (the message
names the remedy), 130 interrupted.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__, kafka
from pipeline.cli import importing, rebuilding
from pipeline.cli.ask import ask
from pipeline.cli.desk import alerts_cli, letters_cli
from pipeline.cli.fit import fit_cli
from pipeline.cli.options import (
    FIRST_DAY,
    AsJson,
    DataDir,
    MetricsPort,
    Port,
    Rate,
    a_moment,
    example,
    settings_of,
)
from pipeline.cli.privacy import privacy_cli
from pipeline.cli.report import report_cli
from pipeline.cli.warehouse import warehouse_cli
from pipeline.commands import (
    accepting,
    audit,
    customers,
    demo,
    doctor,
    glossary,
    local,
    output,
    resuming,
    sending,
    status,
)
from pipeline.commands import explain as explained
from pipeline.commands.tables import of_answer, prose
from pipeline.config import SETTINGS
from pipeline.errors import LoyaltyError, NobodyReads, Refused, of_system
from pipeline.exits import Exit
from pipeline.local import resetting
from pipeline.surroundings import settle
from pipeline.topics import TOPICS
from pipeline.warehouse.client import connect

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="How loyal each customer is, and who is about to leave after a bad service experience.",
)
topics_cli = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
replay_cli = typer.Typer(no_args_is_help=True, help="Send real purchases.")
for name, group in (
    ("topics", topics_cli),
    ("dead-letters", letters_cli),
    ("alerts", alerts_cli),
    ("replay", replay_cli),
    ("report", report_cli),
    ("fit", fit_cli),
    ("warehouse", warehouse_cli),
):
    cli.add_typer(group, name=name)
cli.command(epilog=example("loyalty ask captive"))(ask)
cli.add_typer(privacy_cli)
importing.register(cli)
rebuilding.register(cli)


@cli.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Options of the command itself."""
    if version:
        output.say(f"loyalty {__version__}")
        raise typer.Exit


# --- the local stack


@cli.command(epilog=example("loyalty up --data-dir ~/loyalty --warehouse-port 8123"))
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
    """Start broker, warehouse, worker and sink here, and keep them running until Ctrl-C."""
    settings = local.configured(
        settings_of(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
        kafka=kafka_address,
        kafka_jars=kafka_jars,
    )
    with local.running(settings, own_broker=kafka_address is None):
        with suppress(NobodyReads, Refused):  # nobody has to read where everything is
            local.addresses(settings)
        local.wait_for_the_end()


@cli.command("demo", epilog=example("loyalty demo --exit"))
def demo_(
    data_dir: DataDir = None,
    kafka_port: Port = None,
    controller_port: Port = None,
    warehouse_port: Port = None,
    metrics_port: MetricsPort = None,
    leave: Annotated[bool, typer.Option("--exit", help="Stop when the report is done.")] = False,
    json_: AsJson = False,
) -> None:
    """Start the stack, send 69,659 real purchases and simulated service, and report what came out."""
    settings = local.configured(
        settings_of(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
    )
    failure = demo.run(settings, as_json=json_, leave=leave)
    if failure is not None:
        raise failure


@cli.command(epilog=example("loyalty reset --data-dir ~/loyalty --yes"))
def reset(data_dir: DataDir = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove all data of the local stack: topics, states, warehouse and logs."""
    directory = settings_of(data_dir).directory
    if not yes:
        typer.confirm(f"Remove all loyalty data in {directory}?", abort=True)
    removed = resetting.reset(directory)
    output.say(f"Removed {', '.join(removed)} from {directory}." if removed else f"Nothing to remove in {directory}.")


# --- the processes


@cli.command(epilog=example("LOYALTY_KAFKA=broker:9092 loyalty worker"))
def worker() -> None:
    """Run a worker: events to customer states, alerts and dead letters."""
    from pipeline.worker.app import run  # noqa: PLC0415 - Faust is slow to import, and only this command needs it

    run(settings_of())


@cli.command(epilog=example("LOYALTY_CLICKHOUSE=http://clickhouse:8123 loyalty sink"))
def sink() -> None:
    """Run a sink: every topic into ClickHouse."""
    from pipeline.sink.app import run  # noqa: PLC0415

    run(settings_of())


# --- topics and events


@topics_cli.command("create", epilog=example("loyalty topics create"))
def topics_create(data_dir: DataDir = None) -> None:
    """Create the topics that are missing and verify all of them."""
    created = kafka.create_topics(settings_of(data_dir, running=True))
    output.say(f"Created {', '.join(created)}." if created else "All topics exist and are as they should be.")


@topics_cli.command("accept", epilog=example("loyalty topics accept surveys"))
def topics_accept(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic, by its name in `loyalty topics list`.")],
    data_dir: DataDir = None,
) -> None:
    """Go on with a topic that was deleted and made again, or without records that left it unread."""
    accepting.show(topic, accepting.accept(settings_of(data_dir, running=True), topic))


@topics_cli.command("resume", epilog=example("loyalty topics resume purchases --as-dead-letters"))
def topics_resume(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="An input that stands; `loyalty status` names it.")],
    data_dir: DataDir = None,
    as_dead_letters: Annotated[
        bool, typer.Option("--as-dead-letters", help="What is in it now and cannot be used becomes dead letters.")
    ] = False,
) -> None:
    """Let an input go on that stands because too much of it could not be used."""
    resuming.resume(settings_of(data_dir, running=True), topic, as_dead_letters=as_dead_letters)


@topics_cli.command("list", epilog=example("loyalty topics list --json"))
def topics_list(json_: AsJson = False) -> None:
    """Show the table of topics."""
    rows = [
        {
            "topic": t.name,
            "role": t.role,
            "key": "customer_id",
            "values": t.schema,
            "holds": t.retention,
            "timestamp": "broker append time",
        }
        for t in TOPICS
    ]
    output.as_json(rows) if json_ else output.table(list(rows[0]), [list(row.values()) for row in rows])


@replay_cli.command("cdnow", epilog=example("loyalty replay cdnow --sample"))
def replay_cdnow(
    data_dir: DataDir = None,
    sample: Annotated[bool, typer.Option("--sample", help="The papers' 1/10 sample only.")] = False,
    rate: Rate = None,
) -> None:
    """Send the CDNOW purchases with their original dates, 1997 and 1998."""
    sent = sending.cdnow_purchases(settings_of(data_dir, running=True), sample=sample, rate=rate)
    output.say(f"Sent {sent} purchases.")


@cli.command(epilog=example("loyalty simulate --customers 1000 --days 365 --seed 7 --rate 500"))
def simulate(
    customers_: Annotated[int, typer.Option("--customers", min=1, max=10_000_000, help="How many.")],
    days: Annotated[int, typer.Option(min=1, max=7_300, help="How many days of their lives.")],
    seed: Annotated[int, typer.Option(help="The same seed sends the same bytes.")],
    rate: Rate = None,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = FIRST_DAY,
    truth: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            show_default=False,
            help="Write what really happened to each customer to this file: JSON lines.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Send purchases, contacts, surveys and calls of a synthetic population, labelled synthetic."""
    sent = sending.population(settings_of(data_dir, running=True), customers_, days, seed, start.date(), rate, truth)
    output.say(f"Sent {sent} synthetic events.")


# --- looking at it


@cli.command("status", epilog=example("loyalty status --json"))
def status_(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show processes, lag per topic and last event times; exit code 1 when something is wrong."""
    found = status.collect(settings_of(data_dir, running=True))
    output.as_json(found) if json_ else status.show(found)
    raise typer.Exit(0 if status.is_healthy(found) else 1)


@cli.command("audit", epilog=example("loyalty audit --json"))
def audit_(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Compare the warehouse with the log: every record has its row, once; exit code 1 when one has not."""
    found = audit.collect(settings_of(data_dir, running=True))
    output.as_json(found) if json_ else audit.show(found)
    raise typer.Exit(0 if found["ok"] else 1)


@cli.command(epilog=example("loyalty customer 00042"))
def customer(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    at: Annotated[datetime | None, a_moment("Loyalty at this moment, not now")] = None,
    known_at: Annotated[datetime | None, a_moment("By what we knew then, not by what we know now")] = None,
) -> None:
    """Show what is known about a customer, and how loyal they are."""
    moment = at or known_at or datetime.now(UTC)
    found = customers.read(settings_of(data_dir, running=True), customer_id, moment, known_at)
    output.as_json(customers.as_data(found)) if json_ else customers.show(found)


@cli.command("glossary", epilog=example('loyalty glossary "long-standing, not regular"'))
def glossary_(
    term: Annotated[str | None, typer.Argument(metavar="[TERM]", help="One term; all without.")] = None,
    json_: AsJson = False,
) -> None:
    """Show what the words mean, in which version, and who said so first."""
    found = glossary.found(term)
    output.as_json(glossary.as_data(found)) if json_ else glossary.show(found)


@cli.command(epilog=example("loyalty explain sim-1-000042 --at 2025-06-01T12:00:00Z"))
def explain(
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    at: Annotated[datetime | None, a_moment("As things stood then", "when their last event happened")] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:  # fmt: skip
    """Show in plain words why a customer's churn risk is what it is, or was at any moment, from the log."""
    found = explained.explain(settings_of(data_dir, running=True), customer_id, at)
    output.as_json(found.as_data()) if json_ else explained.show(found)


@cli.command(epilog=example('loyalty query "SELECT count() FROM purchases"'))
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A query; it can only read.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many rows; 100 unless --json.", show_default=False)
    ] = None,
) -> None:
    """Ask the warehouse one question in SQL; nothing can be changed this way."""
    shown = limit or (None if json_ else 100)
    answer = connect(settings_of(data_dir, running=True)).query(sql, read_only=True, limit=shown and shown + 1)
    rows = answer.rows[:shown]
    if json_:
        output.as_json([dict(zip(answer.columns, row, strict=True)) for row in rows])
        return
    output.table(of_answer(answer.columns, answer.types, rows), rows)
    if len(answer.rows) > len(rows):
        output.say(f"These are the first {len(rows)} rows; --limit shows more.")


@cli.command("doctor", epilog=example("loyalty doctor"))
def doctor_(
    data_dir: DataDir = None,
    json_: AsJson = False,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings instead.")] = False,
) -> None:
    """Check configuration, disk, broker, topics, partitioner, warehouse and clock; exit code 1 when one is bad."""
    if settings:
        output.table(["setting", prose("default"), prose("meaning")], SETTINGS)
        return
    findings = doctor.examine(settings_of(data_dir))
    output.as_json([finding._asdict() for finding in findings]) if json_ else doctor.show(findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def main() -> None:
    """Run the command; every failure is one clear line, but for a bug, which is told in full.

    All of the answer has been handed over when it ends.
    """
    settle()
    code = _told(lambda: cli(prog_name="loyalty"))
    sys.exit(code or _told(sys.stdout.flush))


def _told(run: Callable[[], object]) -> int | str | None:
    """Run it and tell a person why it failed; returns the exit code."""
    try:
        run()
    except SystemExit as ended:
        return ended.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except UnicodeEncodeError:
        output.failure(Refused("an argument is not UTF-8"))
        return Exit.USAGE
    except LoyaltyError as ours:
        return _failed(ours)
    except Exception as failed:  # a bug is told in full as Python would, but its exit code is not that of a check
        return _failed(of_system(failed) if isinstance(failed, OSError) else None)
    return Exit.OK


def _failed(failed: LoyaltyError | None) -> int:
    if failed is None:
        sys.excepthook(*sys.exc_info())
        return Exit.CRASHED
    if not isinstance(failed, NobodyReads):
        output.failure(failed)
    return failed.exit_code
