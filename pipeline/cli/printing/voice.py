"""Prints a supervisor's lines from a thread of its own, since whoever reads them may be gone or stop reading."""

import queue
import time

from pipeline import watched
from pipeline.cli.printing import output

MAX_WAITING = 1_000
"""Lines that wait for their reader; further ones are lost."""


class Voice:
    """Says lines on standard error, in order; nobody ever waits for them but who asks to."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(MAX_WAITING)
        watched.live_again("voice", self._speak)

    def say(self, line: str) -> None:
        """Say a line as soon as somebody takes it."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return

    def finish(self, seconds: float = 1.0) -> None:
        """Wait until everything is said, or ``seconds`` are over."""
        end = time.monotonic() + seconds
        with self._lines.all_tasks_done:
            while self._lines.unfinished_tasks and time.monotonic() < end:
                self._lines.all_tasks_done.wait(0.05)

    def _speak(self) -> None:
        while True:
            line = self._lines.get()
            try:
                output.err.print(output.clean(line), markup=False, emoji=False)
            finally:
                self._lines.task_done()
