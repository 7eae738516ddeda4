"""The note beside a file: for one content, one mapping, one Kafka, and one import at a time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import Refused
from pipeline.importing import note
from pipeline.importing.note import Note

KNOWN = Note(
    size=10, digest="d", mapping="m", cluster="k", topic="purchases", begun=datetime(2026, 6, 1, tzinfo=UTC),
    row=7, sent=6, places={0: 3, 1: 2},
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "orders.csv"
    made.write_text("x\n")
    return made


def test_what_was_noted_is_read_again(file: Path) -> None:
    assert note.read(file, KNOWN) is None
    note.write(file, KNOWN)
    assert note.read(file, KNOWN) == KNOWN
    assert sorted(path.name for path in file.parent.iterdir()) == ["orders.csv", "orders.csv.import.json"]


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "a file that grew": ({"size": 11}, "another content"),
    "a file that was edited": ({"digest": "e"}, "another content"),
    "another mapping": ({"mapping": "n"}, "another mapping"),
    "another Kafka": ({"cluster": "l"}, "another Kafka"),
    "another prefix": ({"topic": "t.purchases"}, "another Kafka"),
}


@pytest.mark.parametrize(("change", "said"), OTHERS.values(), ids=OTHERS)
def test_a_note_about_something_else_is_refused(file: Path, change: dict[str, Any], said: str) -> None:
    note.write(file, KNOWN)
    with pytest.raises(Refused, match=said):
        note.read(file, msgspec.structs.replace(KNOWN, **change))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"row": 1}', b"[]"])
def test_a_damaged_note_is_refused(file: Path, content: bytes) -> None:
    note.path_of(file).write_bytes(content)
    with pytest.raises(Refused, match="is no note of an import"):
        note.read(file, KNOWN)


def test_one_at_a_time(file: Path) -> None:
    with note.alone(file), pytest.raises(Refused, match="being imported already"), note.alone(file):
        pass
    with note.alone(file):
        pass


def test_the_same_import_has_the_same_identity_wherever_it_is(file: Path) -> None:
    moved = msgspec.structs.replace(KNOWN, row=0, sent=0, places={}, begun=datetime(2027, 1, 1, tzinfo=UTC))
    assert moved.identity == KNOWN.identity
    assert msgspec.structs.replace(KNOWN, digest="e").identity != KNOWN.identity
