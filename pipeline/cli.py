"""The command ``loyalty``. Each command reads its settings once and calls one function.

Exit codes: 0 done, 1 no (not found, not healthy, not exact), 2 wrong usage, 3 a service is away, 4 refused (the message
names the remedy), 130 interrupted.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__, kafka
from pipeline.commands import (
    acting,
    alerts,
    audit,
    customers,
    demo,
    doctor,
    fitting,
    glossary,
    letters,
    local,
    output,
    reported,
    reports,
    sending,
    status,
)
from pipeline.commands import explain as explained
from pipeline.commands import rebuild as states
from pipeline.config import TABLE, Settings, from_env
from pipeline.errors import LoyaltyError, Reason, Refused
from pipeline.local import stack
from pipeline.sink.warehouse import connect
from pipeline.topics import TOPICS

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="How loyal each customer is, and who is about to leave after a bad service experience.",
)
topics_cli = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
letters_cli = typer.Typer(no_args_is_help=True, help="Records that could not be used.")
alerts_cli = typer.Typer(no_args_is_help=True, help="Churn alerts for the service desk.")
replay_cli = typer.Typer(no_args_is_help=True, help="Send real purchases.")
report_cli = typer.Typer(no_args_is_help=True, help="What customers say, what service costs them, what becomes of it.")
fit_cli = typer.Typer(no_args_is_help=True, help="Learn parameters from your own history.")
for name, group in (
    ("topics", topics_cli),
    ("dead-letters", letters_cli),
    ("alerts", alerts_cli),
    ("replay", replay_cli),
    ("report", report_cli),
    ("fit", fit_cli),
):
    cli.add_typer(group, name=name)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where the local stack keeps its data.", show_default="the platform's place for data"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For a program: JSON, one value.")]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, show_default=False, help="Listen here instead of the configured port.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=1, max=65532, show_default=False, help="First of four: worker, sink, warehouse, stack."),
]
Rate = Annotated[
    float | None, typer.Option(min=0.1, help="Events per second; as fast as possible without.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many.")]
At = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="As of this moment (UTC).", show_default="the newest event"
    ),
]
Days = Annotated[
    int | None, typer.Option(min=1, max=36_500, help="Only so many days before it.", show_default="all of them")
]
FIRST_DAY = datetime(2025, 1, 1)  # noqa: DTZ001 - a day, not a moment


class AlertStatus(StrEnum):
    """Which alerts to list."""

    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"
    ALL = "all"


class AlertSeverity(StrEnum):
    """How bad."""

    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def _settings(data_dir: Path | None = None, *, running: bool = False) -> Settings:
    """Settings from the environment; a running local stack fills in its own addresses.

    With ``running``, a data directory that was asked for must have one: another stack's answers would mislead.
    """
    env = dict(os.environ)
    if data_dir is not None:
        env["LOYALTY_DATA_DIR"] = str(data_dir.expanduser().resolve())
    known = stack.record(from_env(env).directory)
    if running and known is None and data_dir is not None and not {"LOYALTY_KAFKA", "LOYALTY_CLICKHOUSE"} & env.keys():
        raise Refused(f"no stack runs on {data_dir}; start it: loyalty up --data-dir {data_dir}")
    return from_env(env, known["settings"] if known else None)


def _moment(text: str | None) -> datetime | None:
    """A moment a person wrote; a day is its end, and without a time zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date and time such as 2025-06-01T12:00:00Z") from None
    if len(text) == len("2025-06-01"):
        moment += timedelta(days=1, microseconds=-1)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _example(text: str) -> str:
    return f"[dim]Example:[/dim]  {text}"


@cli.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Options of the command itself."""
    if version:
        output.say(f"loyalty {__version__}")
        raise typer.Exit


# --- the local stack


@cli.command(epilog=_example("loyalty up --data-dir ~/loyalty --warehouse-port 8123"))
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
        _settings(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
        kafka=kafka_address,
        kafka_jars=kafka_jars,
    )
    with local.running(settings, own_broker=kafka_address is None):
        local.addresses(settings)
        local.wait_for_the_end()


@cli.command("demo", epilog=_example("loyalty demo --exit"))
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
        _settings(data_dir),
        kafka_port=kafka_port,
        controller_port=controller_port,
        warehouse_port=warehouse_port,
        metrics_port=metrics_port,
    )
    failure = demo.run(settings, as_json=json_, leave=leave)
    if failure is not None:
        raise failure


@cli.command(epilog=_example("loyalty reset --data-dir ~/loyalty --yes"))
def reset(data_dir: DataDir = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove all data of the local stack: topics, states, warehouse and logs."""
    directory = _settings(data_dir).directory
    if not yes:
        typer.confirm(f"Remove all loyalty data in {directory}?", abort=True)
    removed = stack.reset(directory)
    output.say(f"Removed {', '.join(removed)} from {directory}." if removed else f"Nothing to remove in {directory}.")


@cli.command(epilog=_example("loyalty rebuild --yes"))
def rebuild(data_dir: DataDir = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Fold every state again from the events, with no worker running; tells the desk only what differs."""
    settings = _settings(data_dir, running=True)
    if not yes:
        typer.confirm("Erase every customer's state and fold all events again?", abort=True)
    with output.bar(unit="states") as bar:
        task = bar.add_task("Erasing states", total=None)
        erased = states.rebuild(settings, lambda count: bar.update(task, completed=count))
    output.say(f"Erased {erased} states. Start the workers: they fold all events again and tell only what differs.")


# --- the processes


@cli.command(epilog=_example("LOYALTY_KAFKA=broker:9092 loyalty worker"))
def worker() -> None:
    """Run a worker: events to customer states, alerts and dead letters."""
    from pipeline.worker.app import run  # noqa: PLC0415 - Faust is slow to import, and only this command needs it

    run(_settings())


@cli.command(epilog=_example("LOYALTY_CLICKHOUSE=http://clickhouse:8123 loyalty sink"))
def sink() -> None:
    """Run a sink: every topic into ClickHouse."""
    from pipeline.sink.app import run  # noqa: PLC0415

    run(_settings())


@cli.command(epilog=_example("LOYALTY_CLICKHOUSE=http://127.0.0.1:8123 loyalty warehouse"))
def warehouse() -> None:
    """Run the embedded warehouse: ClickHouse's HTTP protocol on loopback."""
    from pipeline.local.warehouse import run  # noqa: PLC0415

    run(_settings())


# --- topics and events


@topics_cli.command("create", epilog=_example("loyalty topics create"))
def topics_create(data_dir: DataDir = None) -> None:
    """Create the topics that are missing and verify all of them."""
    created = kafka.create_topics(_settings(data_dir, running=True))
    output.say(f"Created {', '.join(created)}." if created else "All topics exist and are as they should be.")


@topics_cli.command("list", epilog=_example("loyalty topics list --json"))
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


@replay_cli.command("cdnow", epilog=_example("loyalty replay cdnow --sample"))
def replay_cdnow(
    data_dir: DataDir = None,
    sample: Annotated[bool, typer.Option("--sample", help="The papers' 1/10 sample only.")] = False,
    rate: Rate = None,
) -> None:
    """Send the CDNOW purchases with their original dates, 1997 and 1998."""
    sent = sending.cdnow_purchases(_settings(data_dir, running=True), sample=sample, rate=rate)
    output.say(f"Sent {sent} purchases.")


@cli.command(epilog=_example("loyalty simulate --customers 1000 --days 365 --seed 7 --rate 500"))
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
    sent = sending.population(_settings(data_dir, running=True), customers_, days, seed, start.date(), rate, truth)
    output.say(f"Sent {sent} synthetic events.")


@report_cli.command("effect", epilog=_example("loyalty report effect --days 90"))
def report_effect(
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Who bought nothing within so many days has left.")] = 90,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Show what acting on alerts changed, against the alerts that were held out (LOYALTY_HOLDOUT_PERCENT)."""
    found = acting.measured(_settings(data_dir, running=True), days)
    output.as_json(found.as_data()) if json_ else acting.show(found)


# --- learning from history


class Observation(StrEnum):
    """What counts as one observation."""

    CONTACT = "contact"
    ISSUE = "issue"


@fit_cli.command("risk", epilog=_example("loyalty fit risk --simulated 20000 --policy risk-policy.json"))
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
    try:
        from pipeline.commands import fit_risk as fitting  # noqa: PLC0415 - needs libraries only this command needs
    except ModuleNotFoundError as missing:
        raise Refused(f"{missing.name} is not installed; install the extra: pip install '.[fit]'") from None
    if shortest > longest:
        raise typer.BadParameter("--shortest is longer than --longest")
    fitting.run(
        simulated if simulated is not None else _settings(data_dir, running=True),
        policy_file=policy,
        picture=picture,
        silence=(gaps, shortest, longest),
        per=per.value,
        per_day=capacity,
        force=force,
        as_json=json_,
    )


# --- looking at it


@cli.command("status", epilog=_example("loyalty status --json"))
def status_(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show processes, lag per topic and last event times; exit code 1 when something is wrong."""
    found = status.collect(_settings(data_dir, running=True))
    output.as_json(found) if json_ else status.show(found)
    raise typer.Exit(0 if status.is_healthy(found) else 1)


@cli.command("audit", epilog=_example("loyalty audit --json"))
def audit_(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Compare the warehouse with the log: every record has its row, once; exit code 1 when one has not."""
    found = audit.collect(_settings(data_dir, running=True))
    output.as_json(found) if json_ else audit.show(found)
    raise typer.Exit(0 if found["ok"] else 1)


@cli.command(epilog=_example("loyalty customer 00042"))
def customer(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Loyalty on this day, not now.", show_default=False)
    ] = None,
) -> None:
    """Show what is known about a customer, and how loyal they are."""
    moment = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
    known = customers.read(_settings(data_dir, running=True), customer_id, moment)
    output.as_json(customers.as_data(known)) if json_ else customers.show(known)


@cli.command("glossary", epilog=_example('loyalty glossary "long-standing, not regular"'))
def glossary_(
    term: Annotated[str | None, typer.Argument(metavar="[TERM]", help="One term; all without.")] = None,
    json_: AsJson = False,
) -> None:
    """Show what the words mean, in which version, and who said so first."""
    found = glossary.found(term)
    output.as_json(glossary.as_data(found)) if json_ else glossary.show(found)


@cli.command(epilog=_example("loyalty explain sim-1-000042 --at 2025-06-01T12:00:00Z"))
def explain(
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As things stood then, such as 2025-06-01 or 2025-06-01T12:00:00Z.",
                     show_default="when their last event happened"),
    ] = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:  # fmt: skip
    """Show in plain words why a customer's churn risk is what it is, or was at any moment, from the log."""
    found = explained.explain(_settings(data_dir, running=True), customer_id, _moment(at))
    output.as_json(found.as_data()) if json_ else explained.show(found)


@cli.command(epilog=_example('loyalty query "SELECT count() FROM purchases"'))
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
    answer = connect(_settings(data_dir, running=True)).query(sql, read_only=True, limit=shown and shown + 1)
    rows = answer.rows[:shown]
    if json_:
        output.as_json([dict(zip(answer.columns, row, strict=True)) for row in rows])
        return
    output.table(answer.columns, rows)
    if len(answer.rows) > len(rows):
        output.say(f"These are the first {len(rows)} rows; --limit shows more.")


@cli.command("doctor", epilog=_example("loyalty doctor"))
def doctor_(
    data_dir: DataDir = None,
    json_: AsJson = False,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings instead.")] = False,
) -> None:
    """Check configuration, disk, broker, topics, partitioner, warehouse and clock; exit code 1 when one is bad."""
    if settings:
        output.table(["setting", "default", "meaning"], TABLE)
        return
    findings = doctor.examine(_settings(data_dir))
    output.as_json([finding._asdict() for finding in findings]) if json_ else doctor.show(findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@letters_cli.command("list", epilog=_example("loyalty dead-letters list --json"))
def letters_list(data_dir: DataDir = None, json_: AsJson = False, limit: Limit = 20) -> None:
    """Show the newest dead letters, and how many there are by reason."""
    found = list(letters.read(_settings(data_dir, running=True)))
    output.as_json([letter.as_data() for letter in found]) if json_ else letters.show_list(found, limit)


@letters_cli.command("show", epilog=_example("loyalty dead-letters show 2-15 > record.json"))
def letters_show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it, such as 2-15.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="The original bytes and nothing else.")] = False,
) -> None:
    """Show one dead letter with its original bytes."""
    letter = letters.find(_settings(data_dir, running=True), identity)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    else:
        output.as_json(letter.as_data()) if json_ else letters.show_one(letter)


@letters_cli.command("replay", epilog=_example("loyalty dead-letters replay --reason wrong-partition"))
def letters_replay(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", show_default=False, help="Only this one, such as 2-15.")
    ] = None,
    data_dir: DataDir = None,
    reason: Annotated[Reason | None, typer.Option(help="All with this reason.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters to the topic they came from, once the cause is gone."""
    if sum((identity is not None, reason is not None, all_)) != 1:
        raise typer.BadParameter("name one dead letter, or --reason, or --all")
    settings = _settings(data_dir, running=True)
    if identity is not None:
        letters.find(settings, identity)
    sent = letters.replay(settings, lambda letter: all_ or letter.identity == identity or letter.reason == reason)
    output.say(f"Sent {sent} record{'s' if sent != 1 else ''} again.")


@alerts_cli.command("list", epilog=_example("loyalty alerts list --severity critical"))
def alerts_list(
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Limit = 20,
    status: Annotated[AlertStatus, typer.Option(help="Which alerts.")] = AlertStatus.OPEN,
    severity: Annotated[AlertSeverity | None, typer.Option(help="Only these.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Those kept from the desk, to measure what acting does.")
    ] = False,
) -> None:
    """Show alerts, newest first."""
    found = alerts.listed(_settings(data_dir, running=True), status, severity, limit, held_out=held_out)
    output.as_json(found) if json_ else alerts.show_list(found)


@alerts_cli.command("show", epilog=_example("loyalty alerts show 4e71bad03099"))
def alerts_show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its beginning.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Show one alert in full: why, what to do, what was told when."""
    alert, told = alerts.one(_settings(data_dir, running=True), identity)
    output.as_json(alert | {"told": told}) if json_ else alerts.show_one(alert, told)


@alerts_cli.command("tail", epilog=_example("loyalty alerts tail --json"))
def alerts_tail(
    data_dir: DataDir = None,
    json_: AsJson = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)] = None,
) -> None:
    """Show messages to the desk as they come, until Ctrl-C."""
    for message in alerts.tailed(_settings(data_dir, running=True), count):
        output.as_json(message) if json_ else alerts.show_message(message)


@report_cli.command("surveys", epilog=_example("loyalty report surveys --days 90"))
def report_surveys(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show recommendation, ease, satisfaction and intention; with --days also against the period before."""
    found = reports.surveys(_settings(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.surveys(found)


@report_cli.command("effort", epilog=_example("loyalty report effort --days 90"))
def report_effort(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show what getting issues solved costs customers, by where the problem comes from."""
    found = reports.effort(_settings(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.effort(found)


@report_cli.command("shift", epilog=_example("loyalty report shift --at 1998-06-30"))
def report_shift(at: At = None, days: Days = None, data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show how many customers are less and how many more loyal after a contact, beside the published 4 : 1."""
    found = reports.shift(_settings(data_dir, running=True), at, days)
    output.as_json(found) if json_ else reported.shift(found)


# --- learning from history


@fit_cli.command("purchases", epilog=_example("loyalty fit purchases cdnow-sample --calibration-weeks 39 --out fit"))
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
    useful = fitting.purchases(
        source,
        lambda: _settings(data_dir, running=True),
        weeks=weeks,
        until=until and until.date(),
        horizon=horizon,
        currency=currency,
        spend=spend,
        out=out,
        force=force,
        as_json=json_,
    )
    raise typer.Exit(0 if useful else 1)


def main() -> None:
    """Run the command; every failure is one clear line."""
    try:
        cli(prog_name="loyalty")
    except LoyaltyError as failed:
        output.failure(failed)
        sys.exit(failed.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except UnicodeEncodeError:
        output.failure(Refused("an argument is not UTF-8"))
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
        sys.exit(0)
