"""Removes the files that a stack put into a data directory, and nothing else."""

import shutil
from pathlib import Path

from pipeline.errors import Refused
from pipeline.local.record import RECORD, is_locked

OWNED = (
    "kafka",
    "warehouse",
    "logs/*.log*",
    "state/*/*/*-*",
    "rebuild/*/*/*-*",
    "loyalty-worker-data/v*",
    f"{RECORD}.part",
    RECORD,
    "lock",
)
"""What a stack puts into its data directory, all of it: nothing else there is ever touched. Folders that hold several
things go with the last of them; folders of states are told from others by what RocksDB puts into them."""


_ROCKS = ("CURRENT", "LOCK", "DAMAGED")


def reset(directory: Path) -> list[str]:
    """Remove what stacks put into a data directory; returns what was removed.

    Raises
    ------
    Refused
        It is no folder, a stack is running on it, or a part of it is a link to somewhere else.
    """
    if directory.exists() and not directory.is_dir():
        raise Refused(f"{directory} is no folder; choose another --data-dir")
    if is_locked(directory):
        raise Refused(f"a stack runs on {directory}; stop it first (Ctrl-C in its terminal)")
    found = [path for pattern in OWNED for path in sorted(directory.glob(pattern)) if _is_ours(path, directory)]
    for path in found:
        _refuse_link(path, directory)
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in sorted({directory / pattern.partition("/")[0] for pattern in OWNED if "/" in pattern}):
        _remove_empty(folder)
    return list(dict.fromkeys(path.relative_to(directory).parts[0] for path in found))


def _refuse_link(path: Path, directory: Path) -> None:
    while path != directory:
        if path.is_symlink():
            raise Refused(f"{path} is a link to {path.resolve()}; remove what is there yourself, then the link")
        path = path.parent


def _is_ours(path: Path, directory: Path) -> bool:
    """Whether what bears a name of ours is ours: a folder of states holds RocksDB's files, or nothing."""
    if path.relative_to(directory).parts[0] not in ("state", "rebuild"):
        return True
    return path.is_dir() and (any((path / name).exists() for name in _ROCKS) or not any(path.iterdir()))


def _remove_empty(folder: Path) -> None:
    """Remove a folder, and those in it, that hold no file."""
    for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(inner.iterdir()):
            inner.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
