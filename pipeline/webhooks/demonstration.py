"""One delivery for everybody to see: a receiver on this machine, its endpoint, and an alert that is told to it."""

import json
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

from pipeline.config import Settings
from pipeline.webhooks.administration import Private, add
from pipeline.webhooks.endpoints import Endpoint, EndpointFile
from pipeline.webhooks.replay import replayed
from pipeline.webhooks.signing import ID, BadSignature, verify

NAME = "demo"
SECONDS = 20.0
"""How long it waits for the notifier."""
SINCE = timedelta(days=1)


class Delivery(NamedTuple):
    """What the receiver got."""

    url: str
    message_id: str
    verified: bool
    """Whether the signature fits the body and the endpoint's secret."""
    seconds: float
    """From the moment at which it was asked for."""
    body: dict[str, Any]


class _Receiver(HTTPServer):
    """Takes one request after the other, and keeps the last."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.timeout = 1.0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/alerts"


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver
    timeout = 5

    def do_POST(self) -> None:
        """Take a message."""
        self.server.headers = dict(self.headers.items())
        self.server.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def delivered(settings: Settings, alert_id: str) -> Delivery | None:
    """Have an alert told to a receiver that is there for this moment only; ``None``: no notifier told it in time."""
    with _Receiver() as receiver:
        try:
            EndpointFile(settings.webhooks).change(_without)
            endpoint = _added(settings, receiver.url)
            asked = time.monotonic()
            replayed(settings, NAME, datetime.now(UTC) - SINCE, alert_id)
            while not receiver.body and time.monotonic() - asked < SECONDS:
                receiver.handle_request()
            seconds = time.monotonic() - asked
        finally:
            EndpointFile(settings.webhooks).change(_without)
    if not receiver.body:
        return None
    try:
        verify(receiver.headers, receiver.body, endpoint.secrets, datetime.now(UTC))
        verified = True
    except BadSignature:
        verified = False
    identity = {name.lower(): value for name, value in receiver.headers.items()}.get(ID, "")
    return Delivery(receiver.url, identity, verified, round(seconds, 2), json.loads(receiver.body))


def _added(settings: Settings, url: str) -> Endpoint:
    add(settings, NAME, url, shape="standard", language="en", severities=(), private=Private(), allow_private=True)
    return EndpointFile(settings.webhooks).read()[NAME]


def _without(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
    return {name: one for name, one in endpoints.items() if name != NAME}
