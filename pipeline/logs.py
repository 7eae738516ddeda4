"""Log lines: one JSON object each on standard error, with a time and named fields.

Rules
-----
- A line that cannot be written (closed, full disk) is lost, and nothing else is: :class:`Unfailing`.
- Of one kind of line at most :data:`PER_MINUTE` are written in a minute; the last of them says so, and the next says
  how many were left out. What is critical is always written.
"""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Hashable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson
import structlog

PER_MINUTE = 10
"""How many lines of one kind are written in a minute."""
MAX_KINDS = 1_000
"""How many kinds are told apart; beyond that the count begins again."""


class Unfailing:
    """A stream whose writes never fail, for what nobody's life depends on; without a stream under it, lines are lost.

    Writes go past the stream's own buffer, which would keep what could not be written and fail again at the end.
    """

    def __init__(self, stream: Callable[[], TextIO | None]) -> None:
        self._stream = stream
        self.lost = False
        """Whether something could not be written."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        stream = self._stream()
        try:
            if stream is not None:
                _write(stream, text)
        except (OSError, ValueError):  # closed, full, or its reader is gone
            self.lost = True
        return len(text)

    def flush(self) -> None:
        """Write what the stream under it holds."""
        stream = self._stream()
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        stream = self._stream()
        with suppress(ValueError):
            return stream is not None and stream.isatty()
        return False


def _write(stream: TextIO, text: str) -> None:
    try:
        place = stream.fileno()
    except OSError:  # none of the system's files is under it
        stream.write(text)
        return
    left = text.encode(stream.encoding or "utf-8", "backslashreplace")
    while left:
        left = left[os.write(place, left) :]


def make_unfailing(*names: str) -> None:
    """Let nothing that is printed on ``stdout`` or ``stderr`` end anything, whoever prints it."""
    for name in names:
        stream = getattr(sys, name)
        if not isinstance(stream, Unfailing):
            setattr(sys, name, Unfailing(lambda stream=stream: stream))  # type: ignore[misc]


class RepeatedMessages:
    """Counts lines of a kind, a minute at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, list[float]] = {}
        """When the minute of a kind began, and how many there were since."""

    def admit(self, kind: Hashable) -> dict[str, Any] | None:
        """What a line has to add about others of its kind; ``None``: it is left out."""
        now = self._clock()
        with self._lock:
            begun, count = self._kinds.get(kind, (now, 0))
            left_out = 0
            if now - begun >= 60:
                left_out, begun, count = max(0, int(count) - PER_MINUTE), now, 0
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = [begun, count + 1]
        if count >= PER_MINUTE:
            return None
        said: dict[str, Any] = {"left_out": left_out} if left_out else {}
        return said | ({"repeated": "more like this are left out for a minute"} if count == PER_MINUTE - 1 else {})


def configure(process: str) -> None:
    """Set up logging for a process; library loggers below WARNING stay silent."""
    make_unfailing("stderr")
    repeats = RepeatedMessages()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson())
    handler.addFilter(_Sparing(repeats))
    logging.basicConfig(level=logging.WARNING, force=True, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _sparing(repeats),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line in one piece, whoever else writes
    )
    structlog.contextvars.bind_contextvars(process=process)


def errors_only() -> None:
    """Set up logging for a command that does what a process does: what the process would only mention is left out."""
    configure("command")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


Event = MutableMapping[str, Any]


def _sparing(repeats: RepeatedMessages) -> Callable[[Any, str, Event], Event]:
    def spare(_logger: Any, level: str, event: Event) -> Event:
        said = repeats.admit((level, event.get("event"))) if level != "critical" else {}
        if said is None:
            raise structlog.DropEvent
        event.update(said)
        return event

    return spare


class _Sparing(logging.Filter):
    """The same for libraries. A kind is a logger, a level and the text without its numbers."""

    def __init__(self, repeats: RepeatedMessages) -> None:
        super().__init__()
        self._repeats = repeats

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        kind = (record.name, record.levelno, re.sub(r"0x[0-9a-f]+|[0-9]+", "#", str(record.msg))[:80])
        said = self._repeats.admit(kind) if record.levelno < logging.CRITICAL else {}
        record.said_of_others = said or {}
        return said is not None


class _AsJson(logging.Formatter):
    """What a library says, as one JSON object on one line, whatever characters are in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        failure = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        said = {"level": record.levelname, "logger": record.name, "event": record.getMessage()}
        return _dumps(said | cast(dict[str, Any], getattr(record, "said_of_others", {})) | failure)


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
