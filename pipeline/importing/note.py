"""The progress of an import, in a file next to the input: an import that was killed continues where it was.

Rules
-----
- The note names only rows that the broker has confirmed, and where in the log the next ones will lie.
- What was sent after the last note is found in the log itself: every record says which import and which row it is. So
  nothing is sent twice, and nothing rests on a customer's memory of event ids, which is short.
- A note is for one file with one content, one mapping and one Kafka; anything else is refused.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline.errors import Refused


class Note(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is known of an import."""

    size: int
    digest: str
    """SHA-256 of the file."""
    mapping: str
    """SHA-256 of the mapping."""
    cluster: str
    topic: str
    notify: bool = False
    begun: datetime
    """When the import began: what was in the future then is rejected, whenever the rest is sent."""
    row: int = 0
    """Every event up to this number is confirmed, or was rejected; the number of its row, where each makes one."""
    sent: int = 0
    places: dict[int, int] = {}
    """Where the records of later rows can begin in each partition."""
    done: bool = False

    @property
    def identity(self) -> str:
        """Which import it is, the same wherever the same file is imported in the same way."""
        whole = f"{self.digest}|{self.mapping}|{self.topic}|{self.notify}"
        return blake2b(whole.encode(), digest_size=8, person=b"loyalty-import").hexdigest()


def path_of(file: Path) -> Path:
    """Where the note about a file lies."""
    return file.with_name(f"{file.name}.import.json")


def read(file: Path, now: Note) -> Note | None:
    """The note about a file, if there is one, and it is about this import.

    Raises
    ------
    Refused
        It is about another content, another mapping, or another Kafka.
    """
    path = path_of(file)
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused(
            f"{path} is no note of an import; move it away to import {file.name} from its beginning"
        ) from None
    for what, same in (
        ("content", (known.size, known.digest) == (now.size, now.digest)),
        ("mapping", (known.mapping, known.notify) == (now.mapping, now.notify)),
        ("Kafka", (known.cluster, known.topic) == (now.cluster, now.topic)),
    ):
        if not same:
            raise Refused(
                f"{file.name} was imported up to event {known.row} with another {what}; go on with that one, or give "
                f"the new file a name of its own (to begin again all the same, move {path.name} away)"
            )
    return known


def write(file: Path, note: Note) -> None:
    """Replace the note, all of it or not at all."""
    path = path_of(file)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as written:
            written.write(msgspec.json.encode(note) + b"\n")
            written.flush()
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as failed:
        raise Refused(
            f"cannot write {path}: {failed.strerror}; import from a copy of the file in a folder you can write to"
        ) from None


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """While this lasts nobody else imports the file.

    Raises
    ------
    Refused
        Somebody does already.
    """
    with file.open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{file.name} is being imported already; wait for it to end") from None
        yield
