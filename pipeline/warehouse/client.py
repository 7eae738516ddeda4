"""ClickHouse over HTTP, the same for a server and for the embedded engine.

Errors are sorted by what helps: waiting (:class:`Transient`), the operator (:class:`Refused`), or the author of a
query (:class:`QueryFailed`).
"""

import contextlib
import logging
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import clickhouse_connect
import orjson
from clickhouse_connect.driver import httputil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    ProgrammingError,
)
from clickhouse_connect.driver.insert import InsertContext
from clickhouse_connect.driver.transform import NativeTransform
from urllib3 import PoolManager

from pipeline.config import Settings, is_loopback
from pipeline.errors import LoyaltyError, Refused, Transient, Unreachable
from pipeline.kafka import security

RETRYABLE = frozenset({3, 107, 159, 164, 202, 203, 209, 210, 241, 242, 252, 285, 319, 425, 999})
"""ClickHouse error codes that waiting can mend."""
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


class Result(NamedTuple):
    """Rows of a query, with the names and types of their columns."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Any]]


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
        with _sorted_errors(), _rejections(self._table):
            context.data = rows
            context.current_block = int(self._rows > 0)  # the statement stands in front of the first piece only
            self._parts.extend(NativeTransform.build_insert(context))
            if context.insert_exception is not None:
                raise context.insert_exception
        self._rows += len(rows)

    def block(self) -> Encoded:
        """What is to be sent."""
        return Encoded(self._table, self._rows, b"".join(self._parts))


class Warehouse:
    """One connection to ClickHouse."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self.database = settings.database
        self.cluster = settings.clickhouse_cluster

    def command(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Run a statement that returns nothing."""
        with _sorted_errors():
            self._client.command(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))

    @staticmethod
    def tokens(token: str) -> dict[str, Any]:
        """Settings under which an insert with the same token again changes nothing, here and in every view."""
        return {
            "async_insert": 0,
            "deduplicate_insert": "enable",
            "insert_deduplicate": 1,
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
        }

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        read_only: bool = False,
        limit: int | None = None,
    ) -> Result:
        """Run a query; zero rows keep their column names.

        ``limit`` bounds the rows of the answer; ``read_only`` makes the engine refuse anything that writes.

        Raises
        ------
        QueryFailed
            The engine refused it, or it is no single query that returns rows.
        """
        settings: dict[str, Any] = {"default_format": "JSONCompact"}
        if limit is not None:
            settings["limit"] = limit
        if read_only:
            settings["readonly"] = 2
        with _sorted_errors(read_only=read_only):
            text = self._client.raw_query(
                sql.rstrip().rstrip(";"), parameters=dict(parameters or {}), settings=settings
            )
        try:
            answer = orjson.loads(text)
            return Result([c["name"] for c in answer["meta"]], [c["type"] for c in answer["meta"]], answer["data"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise QueryFailed("this returns no rows; ask one query, without FORMAT") from None

    def exported(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, format_: str, limit: int | None = None
    ) -> bytes:
        """The answer to a query as the engine writes it in one of its formats, such as ``Parquet``; it can only read.

        Raises
        ------
        QueryFailed
            The engine refused it.
        """
        settings = {"readonly": 2, "format_csv_null_representation": ""} | ({} if limit is None else {"limit": limit})
        with _sorted_errors(read_only=True):
            return self._client.raw_query(sql, parameters=dict(parameters or {}), settings=settings, fmt=format_)

    def value(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The only value of a query's only row."""
        return self.query(sql, parameters).rows[0][0]

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert one block. The same token with the same rows again changes nothing.

        Raises
        ------
        RowsRejected
            The engine refuses values in the rows.
        Transient
            It is away or overloaded; nobody knows whether the rows were written.
        QueryFailed
            Anything else; nobody knows either.
        """
        encoder = self.encoder(table, columns)
        encoder.add(rows)
        self.insert_encoded(encoder.block(), token)

    def encoder(self, table: str, columns: Mapping[str, str]) -> Encoder:
        """What makes a block for a table of rows that come piece by piece."""
        with _sorted_errors():
            names, types = list(columns), list(columns.values())
            return Encoder(table, self._client.create_insert_context(table, names, column_type_names=types))

    def insert_encoded(self, block: Encoded, token: str) -> None:
        """Insert a block of an encoder; everything is as with :meth:`insert`. Nothing is sent for no rows."""
        if not block.rows:
            return
        with _sorted_errors(), _rejections(block.table):
            self._client.raw_insert("", insert_block=block.body, settings=self.tokens(token))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class Connecting(Protocol):
    """How to connect to ClickHouse."""

    def __call__(self, settings: Settings, *, create_database: bool = False) -> Warehouse: ...


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(text: str) -> str:
    """A text as a literal of SQL, for where there are too many for parameters."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def connect(settings: Settings, *, create_database: bool = False, seconds: int = 300) -> Warehouse:
    """Connect.

    Raises
    ------
    Unreachable
        Nothing answers at the address.
    Refused
        The server answers, but not to us: wrong user, password or database.
    """
    address = urlsplit(settings.clickhouse)
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # what it logs, it also raises
    if settings.clickhouse_ca_file:
        security.trusted(settings.clickhouse_ca_file, "clickhouse_ca_file")  # says in a clear line what is wrong
    with _sorted_errors(settings.clickhouse):
        client = clickhouse_connect.get_client(
            host=address.hostname or "",
            port=address.port or 8123,
            secure=address.scheme == "https",
            username=settings.clickhouse_user,
            password=settings.clickhouse_password(),
            connect_timeout=5,
            send_receive_timeout=seconds,
            autogenerate_session_id=False,
            query_limit=0,
            compress=False,
            ca_cert=settings.clickhouse_ca_file or None,
            pool_mgr=_pool(settings),
            settings={"session_timezone": "UTC"},
        )
        if create_database and not _has(client, settings.database):
            where = f" ON CLUSTER `{settings.clickhouse_cluster}`" if settings.clickhouse_cluster else ""
            client.command(f"CREATE DATABASE IF NOT EXISTS `{settings.database}`{where} ENGINE = Atomic")
        client.database = settings.database
    return Warehouse(client, settings)


def _pool(settings: Settings) -> PoolManager | None:
    """Connections to this machine ask no proxy; those to others are the client's own."""
    if not is_loopback(urlsplit(settings.clickhouse).hostname or ""):
        return None
    authorities = settings.clickhouse_ca_file
    return httputil.get_pool_manager(ca_cert=authorities) if authorities else httputil.default_pool_manager()


def _has(client: Client, database: str) -> bool:
    """Whether the database is there; only who must create it needs the right to."""
    asked = {"database": database}
    return bool(int(client.command("SELECT count() FROM system.databases WHERE name = {database:String}", asked)))  # type: ignore[arg-type]


@contextlib.contextmanager
def _sorted_errors(address: str = "", *, read_only: bool = False) -> Iterator[None]:
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
def _rejections(table: str) -> Iterator[None]:
    """Tell rows that the engine refuses from every other failure of an insert.

    Code 252 has two meanings: too many parts, which a pause mends, and too many partitions in one insert, which a
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
    found = re.search(r"Code: (\d+)", message)
    return int(found.group(1)) if found else 0


def _one_line(message: str) -> str:
    found = re.search(r"Code: \d+\. DB::Exception: (.*?)(?: \(for url .*)?$", message, re.DOTALL)
    return " ".join((found.group(1) if found else message).split())
