"""Receivers on real sockets: one that answers bytes as it is told, one that keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Raw:
    """A server of bytes, and how many connections and bytes it has seen."""

    url: str = ""
    connections: int = 0
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released once for each request."""
    sent: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed its end."""


@asynccontextmanager
async def raw(
    *pieces: bytes, pause: float = 0, endless: bool = False, until: bytes = b"\r\n\r\n", once: bool = False
) -> AsyncIterator[Raw]:
    """Reads a request, then writes these pieces; ``endless``: the last for ever, ``once``: one time."""
    host = "127.0.0.1"
    seen = Raw()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            await reader.readuntil(until)
            seen.arrived.release()
            for piece in pieces if seen.connections == 1 or not once else ():
                await _write(writer, seen, piece, pause)
            while endless:
                await _write(writer, seen, pieces[-1], pause)
            if not pieces or (once and seen.connections > 1):
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            seen.gone.set()
            writer.close()

    server = await asyncio.start_server(answer, host, 0)
    async with server:
        seen.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/hook"
        yield seen
        server.close()


async def _write(writer: asyncio.StreamWriter, seen: Raw, piece: bytes, pause: float) -> None:
    writer.write(piece)
    await writer.drain()
    seen.sent += len(piece)
    await asyncio.sleep(pause)


@dataclass
class Request:
    """What a receiver was sent."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that keeps what it was sent."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)


@asynccontextmanager
async def receiver(answer: Callable[[Request], web.Response]) -> AsyncIterator[Receiver]:
    """A server that answers every request by a function."""
    kept = Receiver()

    async def handle(request: web.Request) -> web.Response:
        seen = Request(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
        kept.requests.append(seen)
        return answer(seen)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app, host="127.0.0.1") as server:
        kept.url = str(server.make_url("/"))
        yield kept
