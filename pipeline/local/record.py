"""Where a running local stack is: its processes and settings, in one file of its data directory."""

import fcntl
from pathlib import Path
from typing import Any

import orjson

RECORD = "stack.json"


def read(directory: Path) -> dict[str, Any] | None:
    """What a running stack wrote down about itself, ``None`` when none runs on this directory."""
    try:
        record: dict[str, Any] = orjson.loads((directory / RECORD).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return record if is_locked(directory) else None


def is_locked(directory: Path) -> bool:
    """Whether a stack runs on this directory: the kernel drops its lock when it dies."""
    try:
        with (directory / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False
