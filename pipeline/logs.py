"""Log lines: one JSON object each on standard error, with a time and named fields."""

import logging
import sys
from typing import Any

import orjson
import structlog


def configure(process: str) -> None:
    """Set up logging for a process; library loggers below WARNING stay silent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson())
    logging.basicConfig(level=logging.WARNING, force=True, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)


def errors_only() -> None:
    """Set up logging for a command that does what a process does: what the process would only mention is left out."""
    configure("command")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class _AsJson(logging.Formatter):
    """What a library says, as one JSON object on one line, whatever characters are in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        failure = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        said = {"level": record.levelname, "logger": record.name, "event": record.getMessage()}
        return _dumps(said | failure)


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
