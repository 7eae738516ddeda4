"""Options that several commands share, and how they become settings."""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.config import Settings, from_env
from pipeline.errors import Refused

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
    typer.Option(min=1, max=65531, show_default=False, help="First of five: worker, sink, warehouse, stack, notifier."),
]
Rate = Annotated[
    float | None, typer.Option(min=0.1, help="Events per second; as fast as possible without.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many.")]
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


class AlertSort(StrEnum):
    """In which order to list alerts."""

    VALUE = "value"
    RISK = "risk"
    RAISED = "raised"


class AlertTransition(StrEnum):
    """What happened to an alert."""

    RAISED = "raised"
    ESCALATED = "escalated"
    EASED = "eased"
    UPDATED = "updated"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    WITHDRAWN = "withdrawn"


class DeskAction(StrEnum):
    """What the desk did."""

    CALLED = "called"
    EMAILED = "emailed"
    WROTE = "wrote"
    VISITED = "visited"
    NONE = "none"


class DeskResult(StrEnum):
    """What came of it."""

    RETAINED = "retained"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    NOT_NEEDED = "not_needed"
    IN_PROGRESS = "in_progress"


class DeskReason(StrEnum):
    """Why."""

    FALSE_ALARM = "false_alarm"
    SOLVED_ITSELF = "solved_itself"
    ALREADY_HANDLED = "already_handled"
    PROBLEM_SOLVED = "problem_solved"
    COMPENSATED = "compensated"
    PRICE = "price"
    COMPETITOR = "competitor"
    NO_LONGER_NEEDED = "no_longer_needed"
    DISAPPOINTED = "disappointed"
    NO_ANSWER = "no_answer"
    WRONG_CONTACT_DETAILS = "wrong_contact_details"
    WANTS_NO_CONTACT = "wants_no_contact"
    OTHER = "other"


def settings_of(data_dir: Path | None = None, *, running: bool = False) -> Settings:
    """Settings from the environment; a running local stack fills in its own addresses.

    With ``running``, a data directory that was asked for must have one: another stack's answers would mislead.
    """
    from pipeline.local.record import read

    env = dict(os.environ)
    if data_dir is not None:
        env["LOYALTY_DATA_DIR"] = str(data_dir.expanduser().resolve())
    known = read(from_env(env).directory)
    if running and known is None and data_dir is not None and not {"LOYALTY_KAFKA", "LOYALTY_CLICKHOUSE"} & env.keys():
        raise Refused(f"no stack runs on {data_dir}; start it: loyalty up --data-dir {data_dir}")
    return from_env(env, known["settings"] if known else None)


def moment_of(text: str) -> datetime:
    """A moment a person wrote; a day means its end, and without a time zone it is UTC. The same for every command."""
    from pipeline.core.contract.moments import as_written

    try:
        return as_written(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date and time such as 2025-06-01T12:00:00Z") from None


def a_moment(meaning: str, default: str | None = None) -> Any:
    """An option whose value is a moment; a day means its end."""
    return typer.Option(
        parser=moment_of, metavar="TIME", show_default=default or False,
        help=f"{meaning}: a day such as 2025-06-01 (its end), or 2025-06-01T12:00:00Z.",
    )  # fmt: skip


At = Annotated[
    datetime | None, a_moment("As of this moment", "now, or the newest event where that is older than two days")
]


def example(text: str) -> str:
    return f"[dim]Example:[/dim]  {text}"
