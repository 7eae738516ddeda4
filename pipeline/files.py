"""Files that are there whole or not at all, and that only their owner can read unless they are meant for others."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o600
"""What a file has that holds customers."""
SHARED = 0o644
"""What a file has that other users may read: parameters, policies."""


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write a file, or replace it, in one step; whatever happens meanwhile, nothing else stays in its folder.

    Where the system can (Linux), what is being written has no name until it is complete, so that not even a kill
    leaves anything. A link stays one; what is no file (a pipe, a terminal) is written to as it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    target = path.resolve()
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder", str(path))
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    written = _unnamed(target, content) or _named(target, content)
    try:
        written.chmod(mode)
        written.replace(target)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _unnamed(target: Path, content: bytes) -> Path | None:
    """Write a file without a name and give it one beside its target; ``None`` where the system cannot."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    with suppress(OSError):  # a file system that knows no such files; what else is wrong, the other way finds too
        with os.fdopen(os.open(target.parent, os.O_WRONLY | os.O_TMPFILE, PRIVATE), "wb") as file:
            file.write(content)
            file.flush()
            name = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
            os.link(f"/proc/self/fd/{file.fileno()}", name)
        return name
    return None


def _named(target: Path, content: bytes) -> Path:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".loyalty-", delete=False) as file:
        try:
            file.write(content)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return Path(file.name)
