"""Turns rows into the bytes of events, checked by the decoder of the worker, so with the same reasons for rejection."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.errors import BadEvent, Reason
from pipeline.importing import numbers
from pipeline.importing.identity import content_key
from pipeline.importing.meaning import LINE, Sort, sort_of
from pipeline.importing.plan import Plan, Source
from pipeline.importing.rows import Row, Values
from pipeline.importing.units import Unit, found
from pipeline.importing.values import Read, as_text, cell, plain, reader

Occurrence = Callable[[bytes], int]
"""How many rows with the same content came before."""
Fields = dict[str, Any]
OF_REFUND = ("customer_id", "occurred_at", "currency", "channel", "source", "synthetic", "backfill")
"""What a refund has from its purchase."""
SHARED = ("customer_id", "currency")
"""What the rows of one order must not say differently."""
MOST_REFUNDS = 1


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
        self._fixed: Fields = {name: s.constant for name, s in plan.fields.items() if s.constant is not None}
        self._line = {name: self._fixed.pop(name) for name in LINE if name in self._fixed}
        self._has_lines = "category" in plan.fields
        self._fixed |= {"backfill": True} if backfill else {}
        self._read = [
            (name, self._reader(name, source)) for name, source in plan.fields.items() if source.column is not None
        ]
        self._refunded = [
            (name, self._reader(name, source)) for name, source in plan.sources.items() if name.startswith("refund.")
        ]
        identity = plan.identity
        self._identity_cell = cell(identity.case, whole=identity.whole)
        self._per_row = 1 + (MOST_REFUNDS if plan.refund is not None else 0)

    def __call__(self, unit: Unit, occurrence: Occurrence) -> list[Made]:
        """The event in the rows of a unit, and its refund.

        Raises
        ------
        BadEvent
            There is none, for the same reasons as at a worker.
        """
        if unit.problem:
            raise BadEvent(Reason.UNPARSEABLE, unit.problem)
        read = [self._row(row) for row in unit.rows]
        event = self._fixed | (read[0] if self._plan.order is None else self._together(read))
        if self._has_lines:
            lines = [{name: row[name] for name in LINE if name in row} for row in read if "category" in row]
            event = {name: value for name, value in event.items() if name not in LINE}
            event |= {"lines": lines} if lines else {}
        event["event_id"] = self._identity(unit.rows[0].values, occurrence)
        return [self._made(each) for each in (event, *self._refunds(event, unit.rows))]

    def numbers(self, unit: Unit) -> range:
        """The numbers of its events: they rise through the file, and are those of the rows where each makes one."""
        last = unit.number * self._per_row
        return range(last - self._per_row + 1, last + 1)

    def key(self, values: Values) -> bytes:
        """128 bits that stand for what makes a row an event of its own."""
        columns = self._plan.identity.columns
        return content_key(values if columns is None else {name: found(values, name) for name in columns})

    def _reader(self, name: str, source: Source) -> Read:
        """How a field is read out of the values of a row."""
        column, times, factor = source.column, source.times, source.factor
        read = reader(self._plan.kind, name, source)
        if times is None and factor is None:
            return _of_column(column, read)
        also = _also(source)
        is_amount = sort_of(self._plan.kind, name) is Sort.AMOUNT

        def multiplied(values: Values) -> Any:
            value, other = read(found(values, column)), also(values)  # type: ignore[arg-type]
            if value is None or other is None:
                return None
            result = numbers.product(name, value, *other)
            return result if is_amount else plain(numbers.EXACT.create_decimal(result))

        return multiplied

    def _row(self, row: Row) -> Fields:
        said = {name: value for name, read in self._read if (value := read(row.values)) is not None}
        return self._line | said if self._line else said

    def _together(self, rows: list[Fields]) -> Fields:
        """The rows of an order as one: what the first of them says, and what was paid."""
        event: Fields = {}
        for name in dict.fromkeys(name for row in rows for name in row if name not in LINE):
            said = [row[name] for row in rows if name in row]
            event[name] = said[0]
            if name == "amount" and self._plan.order is not None and self._plan.order.amount == "sum":
                event[name] = numbers.total(name, *said) if len(said) > 1 else said[0]
            elif name in SHARED or name == "amount":
                _refuse_different(name, said)
        return event

    def _refunds(self, event: Fields, rows: tuple[Row, ...]) -> list[Fields]:
        """What was paid back, as an event that refers to the order; none where nothing was."""
        if not self._refunded:
            return []
        refund: Fields = {}
        for name, read in self._refunded:
            said = [value for row in rows if (value := read(row.values)) is not None]
            if said:
                _refuse_different(name, said)
                refund[name.removeprefix("refund.")] = said[0]
        amount = refund.pop("amount", 0)
        paid = numbers.exact(amount)
        if paid is None:
            raise BadEvent(Reason.OUT_OF_RANGE, "$.refund.amount is no number")
        if not paid:
            return []
        kept = {name: event[name] for name in OF_REFUND if name in event}
        order = event.get("order_id")
        return [
            kept | refund
            | {
                "event_id": f"{event['event_id']}-refund", "order_id": f"{order}-refund", "refund_of": order,
                "amount": numbers.written(-abs(paid)),
            }
        ]  # fmt: skip

    def _identity(self, values: Values, occurrence: Occurrence) -> str:
        identity = self._plan.identity
        if identity.column is not None:
            return f"{identity.prefix}{self._own(found(values, identity.column))}"
        key = self.key(values)
        before = occurrence(key)
        return f"{identity.prefix}{key.hex()}" + (f"-{before + 1}" if before else "")

    def _own(self, value: Any) -> str:
        own = self._identity_cell(value)
        if own is None or own == "":
            raise BadEvent(Reason.REQUIRED_MISSING, "$.event_id is missing")
        text = as_text(own)
        if isinstance(text, str):
            return text
        raise BadEvent(Reason.DATATYPE_MISMATCH, "$.event_id should be a text or a number")

    def _made(self, event: Fields) -> Made:
        try:
            value = orjson.dumps(event)
        except (TypeError, orjson.JSONEncodeError) as broken:
            if "ecursion" in str(broken):
                raise BadEvent(Reason.TOO_DEEP, "a value is nested too deep") from None
            raise BadEvent(Reason.UNPARSEABLE, "it holds text that is not UTF-8") from None
        return Made(value, self._decoder(value, self._now).event)


def _of_column(column: str | None, read: Read) -> Read:
    if column is None:
        return lambda values: None

    def of_values(values: Values) -> Any:
        value = values.get(column)
        return read(found(values, column) if value is None else value)

    return of_values


def _also(source: Source) -> Callable[[Values], list[Any] | None]:
    """What a number is multiplied by; ``None`` where that is missing."""
    parse, times = numbers.parser(source), source.times
    factor = [] if source.factor is None else [source.factor]

    def others(values: Values) -> list[Any] | None:
        if times is None:
            return factor
        value = found(values, times)
        text = value.strip() if isinstance(value, str) else value
        if text is None or text == "":
            return None
        number = parse(text) if isinstance(text, str) else numbers.exact(text)
        return [None if number is None else numbers.written(number), *factor]

    return others


def _refuse_different(name: str, said: list[Any]) -> None:
    if any(value != said[0] for value in said) and len({numbers.exact(value) or value for value in map(str, said)}) > 1:
        raise BadEvent(Reason.INCONSISTENT, f"$.{name} differs between the rows of one order")
