"""``loyalty status``, ``doctor`` and ``audit``: health, problems with their remedies, completeness."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, example, settings_of
from pipeline.exits import leave, verdict

commands = typer.Typer()


@commands.command("status", epilog=example("loyalty status --json"))
def status(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Show processes, lag per topic and last event times; exit code 1 when something is wrong."""
    from pipeline.cli.printing import output
    from pipeline.cli.printing import status as printing
    from pipeline.operations import status as operations

    stack = operations.collect(settings_of(data_dir, running=True))
    output.as_json(stack) if json_ else printing.show(stack)
    leave(verdict(operations.is_healthy(stack)))


@commands.command("doctor", epilog=example("loyalty doctor"))
def doctor(
    data_dir: DataDir = None,
    json_: AsJson = False,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings instead.")] = False,
) -> None:
    """Check configuration, disk, broker, topics, partitioner, warehouse and clock; exit code 1 when one is bad."""
    from pipeline.cli.printing import doctor as printing
    from pipeline.cli.printing import output
    from pipeline.cli.printing.tables import prose
    from pipeline.config import SETTINGS
    from pipeline.operations import doctor as operations

    if settings:
        output.table(["setting", prose("default"), prose("meaning")], SETTINGS)
        return
    findings = operations.examine(settings_of(data_dir))
    output.as_json([finding._asdict() for finding in findings]) if json_ else printing.show(findings)
    leave(verdict(all(finding.ok for finding in findings)))


@commands.command("audit", epilog=example("loyalty audit --json"))
def audit(data_dir: DataDir = None, json_: AsJson = False) -> None:
    """Compare the warehouse with the log: every record has its row, once; exit code 1 when one has not."""
    from pipeline.cli.printing import audit as printing
    from pipeline.cli.printing import output
    from pipeline.operations import audit as operations

    report = operations.collect(settings_of(data_dir, running=True))
    output.as_json(report) if json_ else printing.show(report)
    leave(verdict(report["ok"]))
