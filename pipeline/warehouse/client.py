"""ClickHouse over HTTP, the same for a server and for the embedded engine.

Errors are sorted by what helps: waiting (:class:`Transient`), the operator (:class:`Refused`), or the author of a
query (:class:`QueryFailed`).
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import clickhouse_connect
import orjson
from clickhouse_connect.driver import httputil
from clickhouse_connect.driver.client import Client
from urllib3 import PoolManager

from pipeline.config import Settings, is_loopback
from pipeline.kafka import security
from pipeline.warehouse.encoding import Encoded, Encoder
from pipeline.warehouse.failures import QueryFailed, our_errors, row_errors


class Result(NamedTuple):
    """Rows of a query, with the names and types of their columns."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def named(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


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
        with our_errors():
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
        with our_errors(read_only=read_only):
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
        with our_errors(read_only=True):
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
        with our_errors():
            names, types = list(columns), list(columns.values())
            return Encoder(table, self._client.create_insert_context(table, names, column_type_names=types))

    def insert_encoded(self, block: Encoded, token: str) -> None:
        """Insert a block of an encoder; everything is as with :meth:`insert`. Nothing is sent for no rows."""
        if not block.rows:
            return
        with our_errors(), row_errors(block.table):
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
    with our_errors(settings.clickhouse):
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
