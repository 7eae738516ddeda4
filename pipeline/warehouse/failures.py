"""Translates errors of ClickHouse into ours: those that a retry helps, and those that it does not."""

import contextlib
import re
import struct
from collections.abc import Iterator

from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    ProgrammingError,
)

from pipeline.errors import LoyaltyError, Refused, Transient, Unreachable

RETRYABLE = frozenset({3, 107, 159, 164, 202, 203, 209, 210, 241, 242, 252, 285, 319, 425, 999})
"""ClickHouse error codes that waiting can fix."""


ROW_ERRORS = {
    6: "CANNOT_PARSE_TEXT",  # our text in a column that somebody made a number
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",  # the same, for composed types
    38: "CANNOT_PARSE_DATE",  # the same, for a date
    41: "CANNOT_PARSE_DATETIME",  # the same, for a moment
    69: "ARGUMENT_OUT_OF_BOUND",  # a value that does not fit what a DEFAULT or a constraint computes from it
    70: "CANNOT_CONVERT_TYPE",  # a value that does not fit the column's type
    72: "CANNOT_PARSE_NUMBER",  # as 6
    128: "TOO_LARGE_ARRAY_SIZE",  # one value larger than the engine takes
    131: "TOO_LARGE_STRING_SIZE",  # the same
    153: "ILLEGAL_DIVISION",  # a constraint or DEFAULT divides by a zero in the row
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",  # as 70
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",  # the row has nothing where the column demands something
    407: "DECIMAL_OVERFLOW",  # as 70
    469: "VIOLATED_CONSTRAINT",  # what a CONSTRAINT is for
    691: "UNKNOWN_ELEMENT_OF_ENUM",  # a new word in a column that somebody made a closed set
}
"""Codes that depend on the values of single rows, so that a smaller range can do without them.

Left out on purpose: 16, 20, 47, 53, 60 (the schema does not fit any row: the operator's), 33 and 117 (also said of data
that was cut off on the way: repeating is right), 395 (``throwIf`` in somebody's view).
"""


OURS_TO_MEND = (DataError, IntegrityError, InternalError, NotSupportedError, ProgrammingError)
"""What the client raises before anything is sent: no waiting helps, and no other address."""


TOO_MANY_PARTS = 252


READONLY = 164


class QueryFailed(LoyaltyError):
    """The engine refused a query; the message is the engine's own, in one line."""


class RowsRejected(LoyaltyError):
    """The engine takes this insert never, because of what is in its rows; the message never quotes a value."""


@contextlib.contextmanager
def our_errors(address: str = "", *, read_only: bool = False) -> Iterator[None]:
    try:
        yield
    except DatabaseError as failed:
        code = failed.code or _code(str(failed))
        message = _one_line(str(failed))
        if not code:
            raise (QueryFailed(message) if isinstance(failed, OURS_TO_MEND) else _unreachable(address)) from None
        if code == READONLY and read_only:
            raise QueryFailed("this would change something, and a query can only read") from None
        if code in RETRYABLE and not read_only:
            raise Transient(message) from None
        if code in (192, 193, 194, 516, 81):
            raise Refused(f"ClickHouse refuses us: {message}") from None
        raise QueryFailed(message) from None
    except (ClickHouseError, OSError):
        raise _unreachable(address) from None


@contextlib.contextmanager
def row_errors(table: str) -> Iterator[None]:
    """Tell rows that the engine refuses from every other failure of an insert.

    Code 252 has two meanings: too many parts, which a pause fixes, and too many partitions in one insert, which a
    smaller range does.
    """
    try:
        yield
    except DatabaseError as failed:
        code = failed.code or _code(str(failed))
        if code in ROW_ERRORS:
            raise RowsRejected(f"{table}: {ROW_ERRORS[code]} ({code})") from None
        if code == TOO_MANY_PARTS and "partitions for single INSERT" in str(failed):
            raise RowsRejected(f"{table}: too many partitions in one insert ({code})") from None
        if isinstance(failed, DataError) and not code:
            raise RowsRejected(f"{table}: a value that its column cannot hold") from None
        raise
    except (ValueError, TypeError, AttributeError, ArithmeticError, struct.error) as unfit:  # before anything was sent
        raise RowsRejected(f"{table}: a value that its column cannot hold ({type(unfit).__name__})") from None


def _unreachable(address: str) -> Unreachable:
    where = f" at {address}" if address else ""
    return Unreachable(
        f"ClickHouse does not answer{where}. Start it (`loyalty up`), or set LOYALTY_CLICKHOUSE to an address that does"
    )


def _code(message: str) -> int:
    match = re.search(r"Code: (\d+)", message)
    return int(match.group(1)) if match else 0


def _one_line(message: str) -> str:
    match = re.search(r"Code: \d+\. DB::Exception: (.*?)(?: \(for url .*)?$", message, re.DOTALL)
    return " ".join((match.group(1) if match else message).split())
