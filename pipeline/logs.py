"""Log lines: one JSON object each on standard error, with a time and named fields."""

import logging
import sys
from typing import Any

import orjson
import structlog


def configure(process: str) -> None:
    """Set up logging for a process; library loggers below WARNING stay silent."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        force=True,
        format='{"level":"%(levelname)s","logger":"%(name)s","event":"%(message)s"}',
    )
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


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
