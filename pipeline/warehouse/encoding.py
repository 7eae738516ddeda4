"""Encodes rows as the bytes of one block: complete before the first byte is sent, and the same each time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from clickhouse_connect.driver.insert import InsertContext
from clickhouse_connect.driver.transform import NativeTransform

from pipeline.warehouse.failures import our_errors, row_errors


class Encoded(NamedTuple):
    """Rows of a table, ready to be sent."""

    table: str
    rows: int
    body: bytes


MOST_TOGETHER = 10_000
"""So many rows are encoded together at most, however many come at once."""


class Encoder:
    """Makes one block of rows that come piece by piece.

    The values of a row take ten times the memory of its bytes, and most of the time goes into reaching for them. So
    rows are made and encoded a thousand at a time; what is kept of them is bytes.
    """

    def __init__(self, table: str, context: InsertContext) -> None:
        self._table = table
        self._context = context
        self._context.req_block_size = MOST_TOGETHER  # otherwise it weighs a sample of every piece to find a size
        self._parts: list[bytes] = []
        self._rows = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """More rows.

        Raises
        ------
        RowsRejected
            A value does not fit its column.
        """
        context = self._context
        with our_errors(), row_errors(self._table):
            context.data = rows
            context.current_block = int(self._rows > 0)  # the statement stands in front of the first piece only
            self._parts.extend(NativeTransform.build_insert(context))
            if context.insert_exception is not None:
                raise context.insert_exception
        self._rows += len(rows)

    def block(self) -> Encoded:
        """What is to be sent."""
        return Encoded(self._table, self._rows, b"".join(self._parts))
