"""Prints dead letters."""

from collections import Counter

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import identity, prose
from pipeline.operations.dead_letters import SHOWN_BYTES, StoredLetter, _text


def show_list(letters: list[StoredLetter], limit: int) -> None:
    """The newest for a person, with counts by reason."""
    if not letters:
        output.say("No dead letters.")
        return
    newest = sorted(letters, key=lambda letter: letter.received_at, reverse=True)[:limit]
    output.table(
        [identity("id"), "received (UTC)", "topic", "reason", prose("detail", cut=True), "bytes"],
        [
            [
                letter.identity,
                letter.received_at[:19],
                letter.topic,
                letter.reason,
                letter.detail,
                len(letter.value or b""),
            ]
            for letter in newest
        ],
    )
    counts = ", ".join(
        f"{count} {reason}" for reason, count in Counter(letter.reason for letter in letters).most_common()
    )
    output.say(f"{len(letters)} in all: {counts}.")


def show_one(letter: StoredLetter) -> None:
    """One dead letter for a person."""
    value = _text(letter.value)
    size = len(letter.value or b"")
    cut = f" (the first {SHOWN_BYTES} of {size} bytes)" if size > SHOWN_BYTES else ""
    for line in (
        f"Dead letter {letter.identity}: {letter.reason}, {letter.detail}",
        f"From {letter.topic}, partition {letter.partition}, offset {letter.offset}, received {letter.received_at}",
        f"Key: {output.clean(_text(letter.key))}",
        f"Value{cut}:",
        output.clean(value) if value is not None else "(none)",
    ):
        output.say(line)
