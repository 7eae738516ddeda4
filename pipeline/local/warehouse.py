"""The warehouse on one machine: ClickHouse's HTTP protocol on loopback over the embedded engine.

The sink, ``curl`` and the clients of analysts use it like a server. What embedded mode cannot do (users, quotas,
replication, ClickHouse's own compression, newer versions of the Native format) is left out, not imitated: credentials
are accepted and ignored, so it must stay on loopback. A web page in the user's browser is kept out by checking ``Host``
and ``Origin``.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from aiohttp import web

from pipeline import logs, metrics
from pipeline.config import Settings
from pipeline.errors import Refused, Transient
from pipeline.exits import Exit, end_process
from pipeline.local.engine import QUERY, EmbeddedEngine, EngineError, Statement
from pipeline.local.requests import decompressed, parse

LOOK_SECONDS = 0.25
"""How often it is looked whether whoever asked is still there."""
GRACE_SECONDS = 3.0
"""How long queries may go on once the warehouse is told to stop."""
MB = 1_000_000
FULL_BYTES = 16 * MB
"""With less than this free the engine is not let go on; what one insert writes is smaller."""
ROOM_BYTES = 64 * MB
"""What must be free before it begins."""
ROOM_SECONDS = 0.5
MAX_BODY = 512 * 1024 * 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Server:
    """Answers requests with an engine's results."""

    def __init__(self, engine: EmbeddedEngine, facts: metrics.WarehouseMetrics, host: str) -> None:
        self._engine = engine
        self._facts = facts
        self._hosts = _LOOPBACK | {host.strip("[]")}
        self._queries: set[str] = set()
        """Those that run, by their names."""

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._guard])
        app.on_shutdown.append(self._end_queries)
        app.router.add_get("/ping", self._ping)
        app.router.add_get("/", self._statement)
        app.router.add_post("/", self._statement)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Keep web pages out: a browser names the page's own host in ``Origin``, and in ``Host`` after rebinding."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin", "")
        if host and _hostname(host) not in self._hosts:
            return web.Response(status=403, text="Host is not this machine\n")
        if origin and origin.partition("//")[2] != host:
            return web.Response(status=403, text="Origin is another page\n")
        try:
            answer: web.StreamResponse = await handler(request)
        except ConnectionResetError:
            return web.Response(status=400, text="the request ended in the middle\n")  # whoever asked is gone
        return answer

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _statement(self, request: web.Request) -> web.StreamResponse:
        try:
            body = decompressed(await request.read(), request.headers.get("Content-Encoding", ""))
            statement = parse(dict(request.query), request.headers, body)
        except (ValueError, RuntimeError) as broken:  # not UTF-8, or not compressed as it says
            return web.Response(status=400, text=f"the request cannot be read: {type(broken).__name__}\n")
        if not statement.sql.strip():
            return web.Response(text="Ok.\n")
        started = time.perf_counter()
        kind = "insert" if statement.is_insert else "query"
        try:
            answer = await (self._insert(statement) if statement.is_insert else self._query(request, statement))
        except EngineError as failed:
            self._facts.answered(kind, ok=False, seconds=time.perf_counter() - started)
            return web.Response(
                status=404 if failed.code in (60, 81) else 500,
                text=f"{failed}\n",
                headers={"X-ClickHouse-Exception-Code": str(failed.code)},
            )
        self._facts.answered(kind, ok=True, seconds=time.perf_counter() - started)
        return answer

    async def _insert(self, statement: Statement) -> web.Response:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._engine.writers, self._engine.insert, statement)
        return web.Response(headers=_headers(None, {"written_rows": str(rows)}))

    async def _query(self, request: web.Request, statement: Statement) -> web.StreamResponse:
        """Answer once the engine has accepted the statement.

        A failure after that is written into the answer between markers that only this answer knows, as ClickHouse
        does, and the connection is closed before the answer is complete: no client takes it for the whole result.
        """
        tag = secrets.token_hex(8)
        name = f"{QUERY}{tag}" if statement.is_query else ""
        step = partial(self._while_asked, request, name)
        chunks: Iterator[bytes] = self._engine.stream(statement, name)
        self._queries |= {name} - {""}
        try:
            return await self._answer(request, statement, tag, chunks, step)
        finally:
            await step(chunks.close)  # type: ignore[attr-defined]
            self._queries.discard(name)
            self._engine.forget(name)

    async def _answer(
        self, request: web.Request, statement: Statement, tag: str, chunks: Iterator[bytes], step: Callable[..., Any]
    ) -> web.StreamResponse:
        first = await step(next, chunks, None)
        headers = _headers(statement.result_format, {}) | {"X-ClickHouse-Exception-Tag": tag}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/plain"
        await response.prepare(request)
        try:
            chunk = first
            while chunk is not None:
                await response.write(chunk)
                chunk = await step(next, chunks, None)
            await response.write_eof()
        except EngineError as failed:
            text = f"{failed}\n"
            await response.write(f"\r\n__exception__\r\n{tag}\r\n{text}{len(text)} {tag}\r\n__exception__\r\n".encode())
            if request.transport is not None:
                request.transport.close()
        return response

    async def _end_queries(self, _app: web.Application) -> None:
        """Once it is told to stop, end what still asks for rows after a while; what writes is let finish."""
        end = time.monotonic() + GRACE_SECONDS
        while self._queries:
            if time.monotonic() > end:
                await asyncio.get_running_loop().run_in_executor(None, self._engine.end, QUERY)
            await asyncio.sleep(LOOK_SECONDS)

    async def _while_asked(self, request: web.Request, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step of a statement; a query is ended when whoever asked is gone."""
        loop = asyncio.get_running_loop()
        step = loop.run_in_executor(self._engine.readers, call, *arguments)
        while not (await asyncio.wait({step}, timeout=LOOK_SECONDS))[0]:
            if name and (request.transport is None or request.transport.is_closing()):
                await loop.run_in_executor(None, self._engine.end, name)
        return step.result()


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _headers(result_format: str | None, summary: dict[str, str]) -> dict[str, str]:
    headers = {
        "X-ClickHouse-Server-Display-Name": "loyalty",
        "X-ClickHouse-Query-Id": str(uuid.uuid4()),
        "X-ClickHouse-Summary": orjson.dumps(summary).decode(),
    }
    if result_format is not None:
        headers["X-ClickHouse-Format"] = result_format
    return headers


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let running statements finish, queries for a few seconds only.

    Raises
    ------
    Refused
        The address is taken, or the data cannot be opened.
    """
    address = urlsplit(settings.clickhouse)
    host, port = address.hostname or "127.0.0.1", address.port or 8123
    made = metrics.registry("warehouse")
    metrics.serve(made, settings.listen, settings.warehouse_metrics_port)
    engine = EmbeddedEngine(settings.directory / "warehouse")
    runner = web.AppRunner(Server(engine, metrics.WarehouseMetrics(made), host).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        raise Refused(
            f"port {port} (warehouse) on {host} is taken; stop the other program, or choose another port: "
            "loyalty up --warehouse-port PORT"
        ) from None
    log = structlog.get_logger()
    if engine.lost_tokens:
        log.warning(
            "killed in the middle of inserts before; those who sent them send them again", tables=engine.lost_tokens
        )
    log.info("warehouse ready", address=settings.clickhouse)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await _while_there_is_room(settings.directory, stop)
    await runner.cleanup()
    engine.close()


async def _while_there_is_room(directory: Path, stop: asyncio.Event) -> None:
    """Return when it is told to stop; end the process at once when the disk is full.

    What the engine merges while nothing can be written may come out empty, and it would take away the parts that were
    merged a few minutes later. When it opens its data again it sets such a merge aside and goes on with those parts.
    """
    while not stop.is_set():
        if _free(directory) < FULL_BYTES:
            sys.stderr.write(f"loyalty: {_full(directory)}\n")
            end_process(Exit.AWAY)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), ROOM_SECONDS)


def _free(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free
    except OSError:  # there is no folder yet, or not any more; whoever reads or writes says so
        return ROOM_BYTES


def _full(directory: Path) -> str:
    return (
        f"the disk under {directory} is full: {_free(directory) // MB} MB are free, the warehouse goes on with "
        f"{ROOM_BYTES // MB} MB"
    )


def run(settings: Settings) -> None:
    """Run the warehouse until it is told to stop.

    Raises
    ------
    Transient
        The disk is full.
    """
    logs.configure("warehouse")
    if _free(settings.directory) < ROOM_BYTES:
        raise Transient(_full(settings.directory))
    scratch = settings.directory / "warehouse" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.update(TZ="UTC", TMPDIR=str(scratch))  # what the engine reads once: its zone, and where it may write
    asyncio.run(serve(settings))
