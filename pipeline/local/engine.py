"""The embedded ClickHouse engine: one data directory, one process, many concurrent statements.

Rules
-----
- Every statement runs on a connection of its own, so ``USE`` and ``SET`` end with it and no statement waits behind
  another on the same connection; opening one takes a tenth of a millisecond.
- Inserts and reads have pools of their own: a long scan never delays an insert.
- A data directory whose name the engine would read as options or as a pattern is told to it as an open folder.
- Rows are inserted from a file. The engine's own way to take them from memory says that they were written even when a
  constraint, a materialized view or the disk refused them.
- A query bears a name of ours in its ``log_comment``, by which it can be ended from another connection: the engine does
  not see that whoever asked is gone.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import LoyaltyError, Refused
from pipeline.extras import remedy
from pipeline.local.tokens import forget_lost

STREAMED = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
"""Formats whose blocks can be sent one after the other; the others have a head and a foot."""
LIMITS = {"max_memory_usage": "2000000000", "max_result_bytes": "500000000", "session_timezone": "UTC"}
"""What a statement may take of this machine's memory, how large its answer may be, and the zone of moments that have
none: a request may say otherwise, the machine may not."""
QUERY = "loyalty-query:"
"""What the names of queries begin with."""
_MEANING = re.compile(r"[?*{}]")
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_INTO = re.compile(r"(\s*INSERT\s+INTO\s+(?:TABLE\s+)?[^\s(]+\s*(?:\([^)]*\))?)\s*(.*)$", re.IGNORECASE | re.DOTALL)
_STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_ROWS = re.compile(r"\s*\(*\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|CHECK|VALUES)\b", re.IGNORECASE)
_SELECT = re.compile(r"\s*\(*\s*(SELECT|WITH)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"^(\s|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)


class EngineError(LoyaltyError):
    """The engine refused a statement. ``code`` is ClickHouse's error code, 1002 when it gave none."""

    def __init__(self, message: str) -> None:
        start = message.find("Code: ")
        super().__init__(message[start:].strip() if start > 0 else message.strip())
        code = re.match(r"Code: (\d+)", str(self))
        self.code = int(code.group(1)) if code else 1002


@dataclass(frozen=True, slots=True)
class Statement:
    """What an HTTP request asks for."""

    sql: str
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    data: bytes | None = None
    data_format: str = ""

    @property
    def is_insert(self) -> bool:
        """Whether rows come with the statement."""
        return self.data is not None

    @property
    def is_query(self) -> bool:
        """Whether it only reads rows."""
        return not self.is_insert and bool(_SELECT.match(_COMMENTS.sub("", self.sql)))

    @property
    def result_format(self) -> str | None:
        """The format of the rows it returns, ``None`` when it returns none."""
        if not _ROWS.match(_COMMENTS.sub("", self.sql)):
            return None
        named = _FORMAT.search(self.sql)
        return named.group(1) if named else self.default_format


class EmbeddedEngine:
    """Owns a data directory; runs statements on it.

    ``lost_tokens`` counts the inserts that a killed process before took for written although they were not; whoever
    repeats them now writes them.
    """

    def __init__(self, path: Path) -> None:
        try:
            import chdb  # noqa: PLC0415 - only the local stack needs it
        except ImportError:
            raise Refused(f"the embedded warehouse is missing; {remedy('local')}") from None
        self._connect = chdb.connect
        path.mkdir(parents=True, exist_ok=True)
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._path = f"/proc/self/fd/{self._folder}" if _MEANING.search(str(path)) else str(path)
        self.lost_tokens = forget_lost(path)
        try:
            self._root = chdb.connect(self._path)  # keeps the engine alive between statements
        except RuntimeError as failed:
            raise Refused(f"the warehouse's data in {path} cannot be opened: {EngineError(str(failed))}") from None
        _empty(path / "incoming")
        self._incoming = f"{self._path}/incoming"
        self.writers = ThreadPoolExecutor(3, "write")
        self.readers = ThreadPoolExecutor(4, "read")
        self._ended: set[str] = set()

    def insert(self, statement: Statement) -> int:
        """Insert the rows that come with a statement, all or nothing per block; returns how many were written."""
        head = _INTO.match(statement.sql)
        if head is None:
            raise EngineError("Code: 62. this INSERT cannot be read (SYNTAX_ERROR)")
        with tempfile.NamedTemporaryFile(dir=self._incoming) as file, self._connection(statement) as connection:
            file.write(statement.data or b"")
            file.flush()
            into, settings = head.groups()
            done = connection.query(
                f"{into} FROM INFILE {_quoted(file.name)} {settings} FORMAT {statement.data_format}", "TabSeparated"
            )
            return int(done.rows_written())

    def stream(self, statement: Statement, name: str = "") -> Iterator[bytes]:
        """Run a statement and yield its result in chunks; the first chunk comes after the engine accepted it.

        ``name``, for a query, begins with :data:`QUERY`; :meth:`end` ends it by that.
        """
        if name in self._ended:
            raise EngineError("Code: 394. whoever asked is gone (QUERY_WAS_CANCELLED)")
        if name:
            statement = replace(statement, settings=_named(statement.settings, name))
        chosen = statement.result_format
        if _OUTFILE.search(_STRINGS.sub("''", statement.sql)):
            raise EngineError(
                "Code: 344. INTO OUTFILE writes on the server, and this one refuses (SUPPORT_IS_DISABLED)"
            )
        with self._connection(statement) as connection:
            if chosen not in STREAMED or not _SELECT.match(_COMMENTS.sub("", statement.sql)):
                yield bytes(
                    connection.query(statement.sql, chosen or "TabSeparated", params=dict(statement.params)).bytes()
                )
                return
            yield from _chunks(connection.send_query(statement.sql, chosen, params=dict(statement.params)))

    def end(self, name: str) -> None:
        """End the query of a name, or all whose names begin so; one that has not begun does not begin.

        It may take a moment until the query has noticed, and one that begins just now may be missed: whoever wants to
        be sure asks again.
        """
        self._ended.add(name)
        connection = self._connect(self._path)
        try:
            connection.query(f"KILL QUERY WHERE startsWith(Settings['log_comment'], {_quoted(name)}) ASYNC")
        except RuntimeError as failed:
            raise EngineError(str(failed)) from None
        finally:
            connection.close()

    def forget(self, name: str) -> None:
        """The query of a name is over."""
        self._ended.discard(name)

    def _connection(self, statement: Statement) -> "_Connection":
        return _Connection(self._connect(self._path), statement)

    def close(self) -> None:
        """Let running statements finish, then close the data directory."""
        self.readers.shutdown(wait=True, cancel_futures=True)
        self.writers.shutdown(wait=True, cancel_futures=True)
        self._root.close()
        os.close(self._folder)


def _empty(directory: Path) -> None:
    """Make a folder for rows on their way, without what a killed process left there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _named(settings: Mapping[str, str], name: str) -> dict[str, str]:
    """Settings with a name in front of the comment; first, for others may forbid to change any more."""
    comment = f"{name} {settings.get('log_comment', '')}".strip()
    return {"log_comment": comment} | {key: value for key, value in settings.items() if key != "log_comment"}


def _chunks(result: Any) -> Iterator[bytes]:
    try:
        for chunk in result:
            data = bytes(chunk.bytes())
            if data:
                yield data
    finally:
        result.close()


class _Connection:
    """A connection prepared for one statement; turns the engine's errors into :class:`EngineError`."""

    def __init__(self, connection: Any, statement: Statement) -> None:
        self._connection = connection
        self._statement = statement

    def __enter__(self) -> Any:
        try:
            if self._statement.database:
                self._connection.query(f"USE {_quoted_name(self._statement.database)}")
            settings = LIMITS | dict(self._statement.settings)
            self._connection.query(
                "SET " + ", ".join(f"{_checked_name(k)} = {_quoted(v)}" for k, v in settings.items())
            )
        except RuntimeError as failed:
            self._connection.close()
            raise EngineError(str(failed)) from None
        return self._connection

    def __exit__(self, kind: Any, failed: BaseException | None, _trace: Any) -> None:
        self._connection.close()
        if isinstance(failed, RuntimeError):
            raise EngineError(str(failed)) from None


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EngineError(f"Code: 115. {name!r} is no setting (UNKNOWN_SETTING)")
    return name


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _quoted_name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
