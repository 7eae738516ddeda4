"""A row as the bytes of an event, through the same decoder that a worker uses, so with the same reasons."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from pipeline.core.decode import Decoder
from pipeline.core.events import Event
from pipeline.errors import BadEvent, Reason
from pipeline.importing.identity import content_key
from pipeline.importing.mapping import LINE, Plan
from pipeline.importing.rows import Row, Values
from pipeline.importing.values import Read, readers

Occurrence = Callable[[bytes], int]
"""How many rows with the same content came before."""


class Made(NamedTuple):
    """An event as it is sent, and as it is understood."""

    value: bytes
    event: Event


class Maker:
    """Turns rows into events by a plan. ``now`` is when they would be appended; ``backfill`` that nobody is told."""

    def __init__(self, plan: Plan, now: datetime, *, backfill: bool) -> None:
        self._plan = plan
        self._now = now
        self._decoder = Decoder(plan.kind)
        self._fixed: dict[str, Any] = {name: s.constant for name, s in plan.fields.items() if s.constant is not None}
        self._fixed |= {"backfill": True} if backfill else {}
        read = readers(plan.kind, dict(plan.fields))
        self._read: list[tuple[str, str, Read]] = [
            (name, source.column, read[name]) for name, source in plan.fields.items() if source.column is not None
        ]

    def __call__(self, row: Row, occurrence: Occurrence) -> Made:
        """The event in a row.

        Raises
        ------
        BadEvent
            It is none, for the same reasons as at a worker.
        """
        if row.problem:
            raise BadEvent(Reason.UNPARSEABLE, row.problem)
        event = self._fixed | {
            name: value for name, column, read in self._read if (value := read(found(row.values, column))) is not None
        }
        if "category" in event:
            event["lines"] = [{name: event.pop(name) for name in LINE if name in event}]
        event["event_id"] = self._identity(row.values, occurrence)
        try:
            value = orjson.dumps(event)
        except (TypeError, orjson.JSONEncodeError):
            raise BadEvent(Reason.UNPARSEABLE, "it holds text that is not UTF-8") from None
        return Made(value, self._decoder(value, self._now).event)

    def key(self, values: Values) -> bytes:
        """128 bits that stand for what makes a row an event of its own."""
        columns = self._plan.identity.columns
        return content_key(values if columns is None else {name: found(values, name) for name in columns})

    def _identity(self, values: Values, occurrence: Occurrence) -> str | None:
        identity = self._plan.identity
        if identity.column is not None:
            own = found(values, identity.column)
            return f"{identity.prefix}{str(own).strip()}" if own not in (None, "") else None
        key = self.key(values)
        before = occurrence(key)
        return f"{identity.prefix}{key.hex()}" + (f"-{before + 1}" if before else "")


def found(values: Values, column: str) -> Any:
    """What stands in a column; in nested JSON a column is a path, such as ``customer.id``."""
    value = values.get(column)
    if value is None and "." in column and column not in values:
        inner: Any = values
        for part in column.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        return inner
    return value
