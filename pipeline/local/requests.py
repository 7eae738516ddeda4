"""Parses an HTTP request into a statement, as ClickHouse does."""

import re
from typing import Any

import lz4.frame

from pipeline.local.engine import Statement

_TRANSPORT = frozenset(
    {
        "query", "database", "user", "password", "quota_key", "session_id", "session_timeout", "session_check",
        "query_id", "compress", "decompress", "default_format", "wait_end_of_query", "buffer_size", "role",
        "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "enable_http_compression", "cancel_http_readonly_queries_on_client_close",
        "http_write_exception_in_output_format",
    }
)  # fmt: skip


_INSERT = re.compile(
    rb"\s*+INSERT\s++INTO\s++(?:TABLE\s++)?[^\s(]++\s*+(?:\([^)]*+\)\s*+)?(?:SETTINGS\s++[^\n]+?\s)?"
    rb"FORMAT\s++(\w++)[ \t\r;]*+(?:\n|$)",
    re.IGNORECASE,
)


def parse(query: dict[str, str], headers: Any, body: bytes) -> Statement:
    """An HTTP request as a statement: SQL from the ``query`` argument, the body, or both, as ClickHouse reads them."""
    text = query.get("query", "").encode()
    whole = text + (b"\n" if text and body else b"") + body
    settings = {k: v for k, v in query.items() if k not in _TRANSPORT and not k.startswith("param_")}
    common: dict[str, Any] = {
        "database": query.get("database") or headers.get("X-ClickHouse-Database", ""),
        "settings": settings,
        "params": {k.removeprefix("param_"): v for k, v in query.items() if k.startswith("param_")},
        "default_format": query.get("default_format") or headers.get("X-ClickHouse-Format", "TabSeparated"),
    }
    insert = _INSERT.match(whole[:65_536])
    if insert:
        head = re.sub(rb"\s*\bFORMAT\s+\w+[ \t\r;]*\n?$", b"", insert.group(0), flags=re.IGNORECASE)
        return Statement(head.decode(), **common, data=whole[insert.end() :], data_format=insert.group(1).decode())
    return Statement(whole.decode(), **common)


def decompressed(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "lz4":
            return bytes(lz4.frame.decompress(body))
        case "zstd":
            return _unzstd(body)
        case _:
            return body  # aiohttp has undone gzip and deflate


def _unzstd(body: bytes) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        from backports import zstd  # noqa: PLC0415
    return bytes(zstd.decompress(body))
