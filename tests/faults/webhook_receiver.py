"""A receiver of webhooks, written from the text of Standard Webhooks 1.0.0 and from nothing of ours.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: the signed content is the
id, the timestamp and the body, joined by full stops; the key is the secret behind ``whsec_`` in Base64; a signature is
``v1,`` and the HMAC-SHA256 in Base64, several stand side by side with blanks between; what is older than
five minutes is refused.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """One request, in the order of arrival."""

    id: str
    body: bytes
    verified: bool
    at: float

    @property
    def data(self) -> dict[str, Any]:
        """The body."""
        said: dict[str, Any] = json.loads(self.body)
        return said


def is_signed(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """Whether a request is what the specification asks for."""
    try:
        identity, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split(" ")
    except KeyError:
        return False
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return any(hmac.compare_digest(one, "v1," + base64.b64encode(digest).decode()) for one in signatures)


class Receiver:
    """An HTTP server on loopback that keeps what it is sent; ``answer`` decides on the status by the message's id."""

    def __init__(self, secret: str = "", answer: Callable[[str], int] = lambda _: 204) -> None:
        self.secret, self.answer = secret, answer
        self.received: list[Received] = []
        self.requests = 0
        self.retry_after: int | None = None
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.take(headers, body)
                self.send_response(status)
                if receiver.retry_after is not None:
                    self.send_header("retry-after", str(receiver.retry_after))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                """A sender that was killed leaves in the middle."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """One request; returns the status of its answer."""
        with self._lock:
            self.requests += 1
        status = self.answer(headers.get("webhook-id", ""))
        if status < 300:
            now = time.time()
            verified = is_signed(headers, body, self.secret, now)
            with self._lock:
                self.received.append(Received(headers.get("webhook-id", ""), body, verified, now))
        return status

    def firsts(self) -> list[Received]:
        """The first arrival of each id, in the order of arrival."""
        first: dict[str, Received] = {}
        with self._lock:
            for one in self.received:
                first.setdefault(one.id, one)
        return list(first.values())

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        """While this lasts it answers."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def check(receiver: Receiver) -> list[Received]:
    """Every request was signed, no id had two bodies; returns first arrivals."""
    assert all(one.verified for one in receiver.received)
    bodies: dict[str, set[bytes]] = {}
    for one in receiver.received:
        bodies.setdefault(one.id, set()).add(one.body)
    assert not {identity for identity, versions in bodies.items() if len(versions) > 1}
    return receiver.firsts()
