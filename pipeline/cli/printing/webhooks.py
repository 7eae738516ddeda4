"""Prints webhook endpoints, attempts, and a secret in the one moment in which it is shown."""

import sys
from pathlib import Path
from typing import Any

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import identity, prose
from pipeline.errors import Refused

MOST_BYTES = 64 * 1024


def private_text(source: Path | None) -> bytes:
    """What an operator put into a file, or into standard input, because it must not stand on a command line.

    Raises
    ------
    Refused
        It cannot be read.
    """
    if source is None:
        return b""
    if str(source) == "-":
        return sys.stdin.buffer.read(MOST_BYTES)
    try:
        return source.read_bytes()
    except OSError as failed:
        raise Refused(f"{source} cannot be read: {failed.strerror}") from None


def show_secret(name: str, secret: str, *, as_json: bool) -> None:
    """The secret of an endpoint."""
    if as_json:
        output.as_json({"endpoint": name, "secret": secret})
        return
    output.say(f"The secret of {name}, shown now and never again; give it to the receiver:")
    output.say(secret)


def show_endpoints(endpoints: list[dict[str, Any]]) -> None:
    """The endpoints for a person."""
    if not endpoints:
        output.say("No endpoints. Add one: loyalty webhooks add NAME URL")
        return
    output.table(
        [identity("endpoint"), prose("url", cut=True), "shape", "language", "severities", prose("state")],
        [
            [
                one["endpoint"],
                one["url"],
                one["shape"],
                one["language"],
                ", ".join(one["severities"]) or "all",
                one["state"] + (f" {one['why']}" if one["why"] else ""),
            ]
            for one in endpoints
        ],
    )


def show_answer(name: str, answer: dict[str, Any]) -> None:
    """What a test came to."""
    said = f"HTTP {answer['status']}" if answer["status"] is not None else f"no answer ({answer['error']})"
    output.say(f"{name}: {said} after {answer['seconds']:.2f} s {answer['answer']}".rstrip())


def show_attempts(attempts: list[dict[str, Any]]) -> None:
    """Attempts for a person."""
    if not attempts:
        output.say("No such attempts.")
        return
    output.table(
        ["at (UTC)", "endpoint", identity("message"), "about", "no.", "outcome", "answer", prose("next", cut=True)],
        [
            [
                one["at"][:19],
                one["endpoint"],
                one["message_id"][:16],
                f"{one['transition']} {one['alert_id'][:12]}",
                one["number"],
                one["outcome"],
                one["status"] if one["status"] is not None else one["error"],
                (one["next_at"] or "")[:19],
            ]
            for one in attempts
        ],
    )
