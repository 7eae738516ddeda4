"""Rows without what they hold of erased customers, told by the names of columns: a new table needs no line here.

- ``customer_id``: the row is the customer's, and is not written
- ``key`` with ``value`` (and ``headers``): a record as it came; where it names the customer, it is not written
- ``referred_by``: somebody else's row that names them; it is written without the name
- ``raw``: somebody else's event as it came; where it names them anywhere else, the event's fields are kept without it
- ``state``: somebody else's state that says who recommended us to them; likewise
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pipeline.core.state.suppression import digest_of, names_suppressed, referrer_named

Row = tuple[object, ...]
_TEXT = r'"(?:[^"\\]|\\.)*"'
_LIST = rf'\[(?:[^"\[\]]|{_TEXT})*\]'
REFERRAL = (
    rf'("stated":\[\{{(?:[^"{{}}]|{_TEXT})*\}},(?:null|{_LIST}),(?:null|{_LIST}),[0-9]+,)\[-?[0-9]+,{_TEXT},{_TEXT}\]'
)
"""Who recommended us, in a state that ``encode_named`` of the state wrote; ClickHouse reads it alike."""
RAW_REFERRAL = rf'("referred_by"[ \t\r\n]*:[ \t\r\n]*){_TEXT}'
"""The same in an event as it came."""
_referral = re.compile(REFERRAL.encode(), re.DOTALL)
_raw_referral = re.compile(RAW_REFERRAL.encode(), re.DOTALL)


class _Places(NamedTuple):
    """Where the columns of a table stand that can name a customer; -1: it has no such column."""

    customer_id: int
    referred_by: int
    raw: int
    state: int
    key: int
    value: int
    headers: int


class Forgetting:
    """Knows the columns of every table that rows go to."""

    def __init__(self, columns: Mapping[str, Mapping[str, str]], suppressed: Collection[bytes]) -> None:
        self._places = {table: _places(list(names)) for table, names in columns.items()}
        self._suppressed = suppressed

    def kept_of(self, table: str, rows: list[Row]) -> list[Row]:
        """Rows as they may be written; the list itself where nobody was erased."""
        if not self._suppressed:
            return rows
        return [kept for row in rows if (kept := self.kept(table, row)) is not None]

    def kept(self, table: str, row: Row) -> Row | None:
        """The row as it may be written, ``None`` when it must not be. Costs one look where nobody was erased."""
        if not self._suppressed:
            return row
        at = self._places[table]
        if at.customer_id >= 0 and self._has(row[at.customer_id]):
            return None
        if at.key >= 0 and at.value >= 0 and self._is_named_in(row, at):
            return None
        if at.referred_by >= 0 and row[at.referred_by] and self._has(row[at.referred_by]):
            row = self._unreferred(row, at)
        if at.raw >= 0 and row[at.raw] and names_suppressed(None, _bytes(row[at.raw]), self._suppressed):
            row = _replaced(row, at.raw, b"")
        return self._with_quiet_state(row, at) if at.state >= 0 else row

    def _has(self, customer_id: object) -> bool:
        return digest_of(_bytes(customer_id)) in self._suppressed

    def _is_named_in(self, row: Row, at: _Places) -> bool:
        """Whether a record as it came names an erased customer."""
        headers: Any = row[at.headers] if at.headers >= 0 else ()
        return names_suppressed(_bytes(row[at.key]), _bytes(row[at.value]), self._suppressed, headers)

    def _unreferred(self, row: Row, at: _Places) -> Row:
        if at.raw >= 0 and row[at.raw]:
            row = _replaced(row, at.raw, _raw_referral.sub(rb'\1""', _bytes(row[at.raw])))
        return _replaced(row, at.referred_by, "")

    def _with_quiet_state(self, row: Row, at: _Places) -> Row:
        state = _bytes(row[at.state])
        referrer = referrer_named(state)
        if referrer is None or not self._has(referrer):
            return row
        return _replaced(row, at.state, _referral.sub(rb"\1null", state, count=1))


def _replaced(row: Row, at: int, value: object) -> Row:
    return (*row[:at], value, *row[at + 1 :])


def _places(names: list[str]) -> _Places:
    return _Places(*(names.index(name) if name in names else -1 for name in _Places._fields))


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
