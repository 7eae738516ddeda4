"""``python -m tests.leftovers FOLDER``: when whoever started it is gone, end what still works in the folder.

A session of tests that is killed ends no fixture; its brokers and engines would run for ever. This process waits for
the end of its standard input, which comes with the end of that session, however it happens.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stacks import children_of


@contextmanager
def ended_with_us(folder: Path) -> Iterator[None]:
    """Whatever works below the folder ends with this process."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "tests.leftovers", str(folder)],
        stdin=subprocess.PIPE, cwd=Path(__file__).parent.parent, start_new_session=True,
    )  # fmt: skip
    assert watching.stdin is not None
    try:
        yield
    finally:
        watching.stdin.close()
        watching.wait(60)


def main(folder: Path) -> None:
    """Wait for the end, then end everything."""
    sys.stdin.buffer.read()
    for process in children_of(folder):
        process.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
