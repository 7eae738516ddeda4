"""A receiver for measurements: takes everything under ``/N``, never answers under ``/dead``; tells what came when.

``GET /taken`` returns the arrivals so far as JSON: what caused the alert, and the moment by the monotonic clock, which
processes of one machine share.
"""

import asyncio
import sys
import time

from aiohttp import web

_taken: list[tuple[str, float]] = []


async def _take(request: web.Request) -> web.Response:
    said = await request.json()
    _taken.append((said["data"]["caused_by_event"], time.monotonic()))
    return web.Response(status=204)


async def _never(_request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response(status=204)


async def _tell(_request: web.Request) -> web.Response:
    return web.json_response(_taken)


async def _clear(_request: web.Request) -> web.Response:
    _taken.clear()
    return web.Response(status=204)


def main() -> None:
    """Serve on loopback at the port that is the first argument."""
    app = web.Application()
    app.router.add_post("/dead", _never)
    app.router.add_post("/{number:[0-9]+}", _take)
    app.router.add_get("/taken", _tell)
    app.router.add_delete("/taken", _clear)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
