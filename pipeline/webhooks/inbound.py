"""Tickets come back: a ticket system reports what became of an alert, signed with the secret of its endpoint.

``POST /v1/outcomes/{endpoint}`` with an event of ``alert_outcome.v1`` and the three headers of Standard Webhooks. 202
means that the event is in ``alert-outcomes``, confirmed; 200 that it was there already. Whatever is refused says why as
problem details (RFC 9457), and what may be repeated is repeated under the same ``event_id``: it counts once.

Rules
-----
- Nothing of a request is believed, and nothing looked up, before its signature is right; an endpoint that is unknown or
  disabled is answered like one whose signature is wrong.
- The alert must be known to the warehouse and be this customer's. One that is held out is known to nobody.
- A request costs bounded memory and time, and their rate is bounded.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from aiohttp import web

from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import AlertOutcome
from pipeline.errors import BadEvent, LoyaltyError, Refused
from pipeline.warehouse.client import Warehouse, connect
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Outbox
from pipeline.webhooks.signing import BadSignature, verify

PATH: Final = "/v1/outcomes/{endpoint}"
MOST_BYTES: Final = 16 * 1024
SECONDS: Final = 10.0
"""How long a request may take to arrive, and Kafka or the warehouse to answer."""
RATE, BURST = 20.0, 50.0
"""How many requests a second are looked at, and how many at once."""
REMEMBERED: Final = 10_000
"""How many outcomes are known before the warehouse knows them."""
_KNOWN = """
SELECT customer_id, held_out FROM alerts WHERE alert_id = {a:String} LIMIT 1
"""
_STORED = """
SELECT alert_id, action, result FROM raw_alert_outcomes
WHERE customer_id = {c:String} AND event_id = {e:String} LIMIT 1
"""


class Problem(Exception):
    """A request that is refused."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


class Bucket:
    """So many at once, and so many a second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = burst, clock()

    def take(self) -> bool:
        """Whether one more is let through."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Inbound:
    """The HTTP server for outcomes."""

    def __init__(
        self,
        settings: Settings,
        endpoints: Callable[[], Mapping[str, Endpoint]],
        outbox: Outbox,
        facts: NotifierMetrics,
        connecting: Callable[[Settings], Warehouse] = lambda settings: connect(settings, seconds=int(SECONDS)),
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._outbox = outbox
        self._facts = facts
        self._connecting = connecting
        self._decoder = Decoder("alert_outcome")
        self._bucket = Bucket(RATE, BURST)
        self._taken: OrderedDict[tuple[str, str], tuple[str, str, str]] = OrderedDict()
        self._asking = asyncio.Semaphore(1)
        self._warehouse: Warehouse | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises
        ------
        Refused
            The port is taken.
        """
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._answered])
        app.router.add_post(PATH, self._outcome)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            raise Refused(f"port {port} (outcomes) on {host} is taken; choose another: LOYALTY_INBOUND_PORT") from None

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._warehouse is not None:
            self._warehouse.close()

    @web.middleware
    async def _answered(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every answer is counted, and every refusal is a problem."""
        try:
            answer = await handler(request)
        except Problem as problem:
            answer = _as_response(problem)
        except web.HTTPException as wrong:  # no such address, another method, too large
            detail = f"at most {MOST_BYTES} bytes are taken" if wrong.status == 413 else str(wrong.reason)
            answer = _as_response(Problem(wrong.status, detail))
        self._facts.outcome_answered(answer.status)
        return answer

    async def _outcome(self, request: web.Request) -> web.Response:
        if not self._bucket.take():
            raise Problem(429, "too many requests", retry_after=5)
        body = await self._body(request)
        self._check_signature(request, body)
        event = self._event(body)
        known = event.customer_id, event.event_id
        said = event.alert_id, event.action, event.result
        if known in self._taken:
            if self._taken[known] != said:
                raise Problem(409, "another outcome has this event_id")
            return _accepted(200, event)
        if await self._is_stored(event):
            return _accepted(200, event)
        await self._write(event, body)
        self._taken[known] = said
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
        return _accepted(202, event)

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(SECONDS):
                return await request.read()
        except TimeoutError:
            raise Problem(408, "the request did not arrive in time") from None

    def _check_signature(self, request: web.Request, body: bytes) -> None:
        endpoint = self._endpoints().get(request.match_info["endpoint"])
        secrets = endpoint.secrets if endpoint is not None and endpoint.enabled else ()
        try:
            verify(dict(request.headers), body, secrets, datetime.now(UTC))
        except BadSignature as bad:
            raise Problem(401, str(bad)) from None

    def _event(self, body: bytes) -> AlertOutcome:
        try:
            return cast(AlertOutcome, self._decoder(body, datetime.now(UTC)).event)
        except BadEvent as bad:
            raise Problem(422, str(bad)) from None

    async def _is_stored(self, event: AlertOutcome) -> bool:
        """Whether this very outcome is known; raises what is wrong with its alert."""
        try:
            async with self._asking, asyncio.timeout(2 * SECONDS):
                return await asyncio.to_thread(self._look_up, event)
        except (LoyaltyError, TimeoutError):
            raise Problem(503, "the warehouse does not answer; try again", retry_after=30) from None

    def _look_up(self, event: AlertOutcome) -> bool:
        if self._warehouse is None:
            self._warehouse = self._connecting(self._settings)
        alerts = self._warehouse.query(_KNOWN, {"a": event.alert_id}).rows
        if not alerts or alerts[0][1]:
            raise Problem(404, "there is no such alert, or not yet")
        if alerts[0][0] != event.customer_id:
            raise Problem(409, "the alert is another customer's")
        stored = self._warehouse.query(_STORED, {"c": event.customer_id, "e": event.event_id}).rows
        if stored and tuple(stored[0]) != (event.alert_id, event.action, event.result):
            raise Problem(409, "another outcome has this event_id")
        return bool(stored)

    async def _write(self, event: AlertOutcome, body: bytes) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await self._outbox.outcome(event.customer_id, body)
        except (LoyaltyError, TimeoutError):
            raise Problem(503, "Kafka did not take the outcome; try again", retry_after=30) from None


def _accepted(status: int, event: AlertOutcome) -> web.Response:
    return web.json_response({"event_id": event.event_id, "alert_id": event.alert_id}, status=status)


def _as_response(problem: Problem) -> web.Response:
    reasons: dict[int, str] = {
        401: "Not signed", 404: "Not found", 408: "Too slow", 409: "Conflict", 413: "Too large", 422: "Not an outcome",
        429: "Too many requests", 503: "Try again",
    }  # fmt: skip
    said: dict[str, Any] = {
        "type": "about:blank",
        "title": reasons.get(problem.status, "Refused"),
        "status": problem.status,
        "detail": problem.detail,
    }
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    return web.Response(
        text=json.dumps(said), status=problem.status, content_type="application/problem+json", headers=headers
    )
