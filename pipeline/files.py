"""Writes files whole or not at all, readable by their owner alone unless they are meant for others."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PRIVATE = 0o600
"""What a file has that holds customers."""
SHARED = 0o644
"""What a file has that other users may read: parameters, policies."""


class Growing:
    """A file that is written piece by piece inside a ``with`` block, and is there from :meth:`appear` on; else never.

    Where the system can (Linux), it has no name until then, so that not even a kill leaves anything. A link stays one.
    Everything raises :class:`OSError` where it cannot be written.
    """

    def __init__(self, path: Path, mode: int = PRIVATE) -> None:
        self._target = path.resolve()
        if self._target.is_dir():
            raise IsADirectoryError(21, "it is a folder", str(path))
        self._mode = mode
        self._part: Path | None = None
        self.file: IO[bytes] = self._unnamed() or self._named()

    def _unnamed(self) -> IO[bytes] | None:
        """A file without a name; ``None`` where the system cannot."""
        if not hasattr(os, "O_TMPFILE"):
            return None
        with suppress(OSError):  # a file system that knows no such files; what else is wrong, the other way finds too
            return os.fdopen(os.open(self._target.parent, os.O_WRONLY | os.O_TMPFILE, PRIVATE), "wb")
        return None

    def _named(self) -> IO[bytes]:
        file = tempfile.NamedTemporaryFile(dir=self._target.parent, prefix=".loyalty-", delete=False)  # noqa: SIM115
        self._part = Path(file.name)
        return file

    def __enter__(self) -> Self:
        return self

    def appear(self) -> None:
        """Hand over what was written, and let it take the place of a file that was there before."""
        self.file.flush()
        part = self._part or self._target.with_name(f".{self._target.name[:200]}.{os.getpid()}.part")
        if self._part is None:
            number = self.file.fileno()
            os.link(f"/proc/self/fd/{number}", part, src_dir_fd=number)  # with it, the link is followed
            self._part = part
        part.chmod(self._mode)
        part.replace(self._target)
        self._part = None

    def __exit__(
        self, kind: type[BaseException] | None, failed: BaseException | None, where: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written is not wanted any more
            self.file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write a file, or replace it, in one step; whatever happens meanwhile, nothing else stays in its folder.

    What is no file (a pipe, a terminal) is written to as it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    with Growing(path, mode) as growing:
        growing.file.write(content)
        growing.appear()
