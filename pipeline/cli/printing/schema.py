"""Prints migrations and their states."""

from collections.abc import Sequence

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import identity
from pipeline.warehouse.migrations import MigrationStatus

SHOWN = 12
"""Digits of a checksum that a person is shown."""


def show(statuses: Sequence[MigrationStatus]) -> None:
    """A line per migration."""
    output.table(
        [identity("number"), identity("name"), "state", "checksum", "applied at (UTC)"],
        [[one.number, one.name, one.state, one.checksum[:SHOWN], one.applied_at] for one in statuses],
    )
