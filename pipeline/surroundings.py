"""Makes the environment of a process harmless before anything else runs: variables, streams, terminals, limits.

Rules
-----
- Only ``LOYALTY_*`` says how we work. Of everything else in the environment we keep what tells where this machine has
  its things, how it reaches the network and what its terminal can do; libraries under us read a hundred names more.
- Something is always open as standard input, output and error: a file opened in the place of a closed one would get
  what a library prints.
- What a terminal cannot show is escaped, and what a person typed is UTF-8 whatever the locale says.
- A note that nobody takes is dropped: a full disk under a log ends no thread. An answer that nobody takes is a failure.

Standard library only: it has to run before a library reads the environment.
"""

import contextlib
import io
import os
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from pipeline.errors import NobodyReads, Refused

MACHINE = re.compile(
    r"""
    LOYALTY_.* | CRASH_AT
    | PATH | HOME | USER | LOGNAME | SHELL | PWD | TMPDIR | TZ | LANG | LANGUAGE | LC_.* | XDG_.* | VIRTUAL_ENV
    | LD_.* | DYLD_.* | MALLOC_.* | GLIBC_TUNABLES | (OMP|OPENBLAS|MKL)_NUM_THREADS | MPLCONFIGDIR
    | PYTHON(PATH|HOME|USERBASE|NOUSERSITE|SAFEPATH|UTF8|HASHSEED|UNBUFFERED|FAULTHANDLER)
    | PYTHON(DONTWRITEBYTECODE|PYCACHEPREFIX)
    | (HTTPS?|ALL|NO)_PROXY | (https?|all|no)_proxy | SSL_CERT_(FILE|DIR) | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE
    | TERM | COLORTERM | COLUMNS | LINES | NO_COLOR | FORCE_COLOR
    | _LOYALTY_COMPLETE | _TYPER_COMPLETE.* | COMP_(WORDS|CWORD)
    """,
    re.VERBOSE,
)
"""The variables that count; any other belongs to another program."""
FILES = 4096
"""So many files may be open at once where the system lets us: a broker keeps about ten for each partition."""


def settle() -> None:
    """Make the surroundings of this process harmless; a second call changes nothing.

    Where file names are not UTF-8 the process begins again, since a running interpreter cannot change that.
    """
    _speak_utf8()
    for name in [name for name in os.environ if not MACHINE.fullmatch(name)]:
        del os.environ[name]
    _open_closed_streams()
    sys.stdout, sys.stderr = _taken_over(sys.stdout, Answers), _taken_over(sys.stderr, Notes)
    _raise_open_files()


def for_java(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a Java process: its own options come on its command line, and file names are UTF-8."""
    kept = {name: environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD") if name in environ}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def like_us() -> dict[str, str]:
    """What makes another Python process of ours load the same package, and read and write UTF-8."""
    root = Path(__file__).parent.parent
    found = [] if root.name in ("site-packages", "dist-packages") else [str(root)]
    paths = [*found, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(paths)}


def _speak_utf8() -> None:
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1" or not sys.executable:
        return
    terminal = getattr(sys.stdout, "encoding", None) or "utf-8"
    again = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{terminal}:backslashreplace"}
    arguments = [os.fsencode(sys.executable), *map(typed, sys.orig_argv[1:])]
    os.execve(sys.executable, arguments, os.environ | again)  # noqa: S606


def typed(argument: str) -> bytes:
    """An argument as UTF-8, whether it was typed so or in the locale's encoding; other bytes stay as they are."""
    given = os.fsencode(argument)
    try:
        given.decode()
    except UnicodeDecodeError:
        with contextlib.suppress(UnicodeEncodeError):
            return argument.encode()
    return given


def _open_closed_streams() -> None:
    """Closed input is empty, closed error output takes everything, closed output fails when an answer is written."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            os.set_inheritable(opened, True)  # it has the lowest number that was free, so it is this one
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


class Notes(io.TextIOWrapper):
    """Standard error: what cannot be written there is dropped."""

    def write(self, text: str) -> int:
        """Write as far as that is possible."""
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over as far as that is possible."""
        with contextlib.suppress(OSError):
            super().flush()


class Answers(io.TextIOWrapper):
    """Standard output.

    Raises
    ------
    NobodyReads
        The reader is gone.
    Refused
        It cannot be written, with the system's reason.
    """

    def write(self, text: str) -> int:
        """Write."""
        with _reasons():
            return super().write(text)

    def flush(self) -> None:
        """Hand over."""
        with _reasons():
            super().flush()


def _drop_the_rest() -> None:
    """What was not taken goes nowhere; without this the interpreter would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _drop_the_rest()
        raise NobodyReads("the reader of standard output is gone") from None
    except OSError as failed:
        _drop_the_rest()
        raise Refused(f"standard output cannot be written: {failed.strerror}; what was written is not all") from None


def _taken_over(stream: TextIO, kind: type[Answers | Notes]) -> TextIO:
    """The same stream, of our kind; a stream that stands in for one of the system's stays as it is."""
    if type(stream) is not io.TextIOWrapper:
        return stream
    encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
    return kind(stream.detach(), encoding, "backslashreplace", None, lines, through)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # not allowed here: what is opened too many says so itself
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
