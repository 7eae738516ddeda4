"""Whatever a receiver does, an attempt ends in time, within memory, and where it was sent."""

import asyncio
import gzip
import resource
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pipeline.webhooks.attempt import ANSWER_SECONDS, MOST_BYTES, Answer, attempt, client, retry_after_ms, verdict
from tests.webhooks.alerts import NOW
from tests.webhooks.attempts import OK, SECONDS, to, tried
from tests.webhooks.receivers import Receiver, Request, raw, receiver

MEGABYTE = b"x" * 2**20


def answered(run: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(run)


def of_raw(*pieces: bytes, seconds: float = SECONDS, pause: float = 0, endless: bool = False) -> Answer:
    async def run() -> Answer:
        async with raw(*pieces, pause=pause, endless=endless) as server:
            return await tried(server.url, seconds)

    return answered(run())


def test_a_request_arrives_as_it_was_made_and_its_answer_is_kept() -> None:
    async def run() -> tuple[Answer, Receiver]:
        async with receiver(lambda request: web.Response(status=202, text="thank\x1b[31m you\u202e")) as kept:
            return await tried(kept.url + "hook?a=1%2F2"), kept

    answer, kept = asyncio.run(run())
    [request] = kept.requests
    assert (request.method, request.path, request.query, request.body) == ("POST", "/hook", {"a": "1/2"}, b"{}")
    assert request.headers["X-Team"] == "care"
    assert request.headers["webhook-id"] == "a1"
    assert request.headers["Accept-Encoding"] == "identity"
    assert (answer.status, answer.error, verdict(answer)) == (202, "", "delivered")
    assert answer.answer == "thank\ufffd[31m you\ufffd"


def test_a_receiver_that_never_answers_costs_the_deadline() -> None:
    answer = of_raw(seconds=0.5)
    assert (answer.status, answer.error, verdict(answer)) == (None, "timeout", "retry")
    assert 0.5 <= answer.seconds < 5


@pytest.mark.parametrize(
    "pieces",
    [(b"H",), (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"), (b"HTTP/1.1 100 Continue\r\n\r\n",)],
    ids=["status line", "headers", "continue"],
)
def test_a_receiver_that_trickles_before_its_status_is_known_costs_the_deadline(pieces: tuple[bytes, ...]) -> None:
    answer = of_raw(*pieces, seconds=1, pause=0.05, endless=True)
    assert answer.status is None
    assert answer.error in ("timeout", "protocol")
    assert answer.seconds < 5


def test_a_receiver_that_trickles_its_answer_is_judged_by_its_status() -> None:
    answer = of_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", pause=0.05, endless=True)
    assert (answer.status, verdict(answer)) == (200, "delivered")
    assert answer.seconds < ANSWER_SECONDS + 5
    assert set(answer.answer) == {"x"}


def test_an_answer_of_a_gigabyte_is_read_up_to_16_kib() -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Length: 1073741824\r\n\r\n"

    async def run() -> tuple[Answer, int]:
        async with raw(head, MEGABYTE, endless=True) as server, client(allow_private=True) as session:
            answer = await attempt(session, to(server.url), {}, SECONDS)
            await asyncio.wait_for(server.gone.wait(), SECONDS)
            return answer, server.sent

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer, sent = asyncio.run(run())
    assert (answer.status, verdict(answer), len(answer.body)) == (500, "retry", MOST_BYTES)
    assert len(answer.answer) == 200
    assert sent < 64 * 2**20, "the connection was closed"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "nonsense"])
def test_a_gzip_bomb_is_never_unpacked(encoding: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(2**26)) + bytes(2**20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    answer = of_raw(head.encode(), bomb)
    assert verdict(answer) == "delivered"
    assert answer.body == bomb[:MOST_BYTES]


@pytest.mark.parametrize(
    "piece",
    [
        b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + MEGABYTE + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200_000 + b"\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ],
    ids=["nonsense", "status", "long header", "many headers", "ssh", "zeros", "two lengths"],
)  # fmt: skip
def test_what_is_no_http_is_a_failure_of_the_protocol(piece: bytes) -> None:
    answer = of_raw(piece, seconds=5)
    assert answer.status is None
    assert answer.error in ("protocol", "connection")
    assert verdict(answer) == "retry"


@pytest.mark.parametrize(
    ("head", "body"), [(b"Transfer-Encoding: chunked", b"zz\r\n"), (b"Content-Length: 10", b"abc")]
)
def test_a_broken_answer_is_judged_by_its_status(head: bytes, body: bytes) -> None:
    answer = of_raw(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", body, pause=0.2)
    assert (answer.status, verdict(answer)) == (200, "delivered")


def test_who_closes_at_once_or_does_not_listen_is_away() -> None:
    async def closed() -> Answer:
        async with raw() as server:
            url = server.url
        return await tried(url)

    for answer in (of_raw(b""), answered(closed())):
        assert (answer.status, answer.error, verdict(answer)) == (None, "connection", "retry")


def test_a_receiver_that_speaks_no_tls_and_a_name_nobody_has_are_told_apart() -> None:
    async def run() -> tuple[Answer, Answer]:
        async with raw(b"HTTP/1.1 400 plain http\r\n\r\n", until=b"\x03") as server:
            return (
                await tried(server.url.replace("http:", "https:")),
                await tried("https://nobody.invalid/"),
            )

    plain, nameless = asyncio.run(run())
    assert plain.error == "tls"
    assert nameless.error == "name"


def test_no_cookie_of_a_receiver_is_sent_back() -> None:
    def answer(request: Request) -> web.Response:
        response = web.Response()
        response.set_cookie("session", "1")
        return response

    async def run() -> Receiver:
        async with receiver(answer) as kept, client(allow_private=True) as session:
            for _ in range(2):
                await attempt(session, to(kept.url), {}, SECONDS)
            return kept

    assert [request.headers.get("Cookie") for request in asyncio.run(run()).requests] == [None, None]


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert verdict(of_raw(OK)) == "delivered"


def test_a_dead_receiver_takes_no_place_of_the_others() -> None:
    """Two hundred attempts hang at one receiver; another's answers come as if it were alone."""

    async def run() -> Answer:
        async with raw() as dead, raw(OK) as alive, client(allow_private=True) as session:
            hanging = [asyncio.create_task(attempt(session, to(dead.url), {}, SECONDS)) for _ in range(200)]
            for _ in hanging:
                await asyncio.wait_for(dead.arrived.acquire(), SECONDS)
            answer = await attempt(session, to(alive.url), {}, SECONDS)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            return answer

    answer = asyncio.run(run())
    assert verdict(answer) == "delivered"
    assert answer.seconds < 5


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, "delivered"), (299, "delivered"), (300, "failed"), (400, "failed"), (401, "failed"), (404, "failed"),
        (408, "retry"), (409, "failed"), (410, "gone"), (425, "retry"), (429, "retry"), (500, "retry"),
        (502, "retry"), (503, "retry"), (504, "retry"), (599, "retry"),
    ],
)  # fmt: skip
def test_the_status_decides(status: int, meaning: str) -> None:
    answer = of_raw(f"HTTP/1.1 {status} x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".encode())
    assert (answer.status, answer.retry_after_ms, verdict(answer)) == (status, 7000, meaning)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None), ("0", 0), ("120", 120_000), ("9" * 5000, 999_999_999_000), ("-1", None), ("1.5", None),
        ("soon", None), ("", None), ("²", None), (format_datetime(NOW + timedelta(minutes=1), usegmt=True), 60_000),
        (format_datetime(NOW - timedelta(minutes=1), usegmt=True), 0), ("Wed, 99 Foo 9999 99:99:99 GMT", None),
        ("Tuesday, 06-Jan-26 12:00:30 GMT", 30_000),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, wanted: int | None) -> None:
    assert retry_after_ms(value, NOW) == wanted


@given(st.text())
def test_any_retry_after_has_a_meaning(value: str) -> None:
    waits = retry_after_ms(value, datetime.now(UTC))
    assert waits is None or waits >= 0
