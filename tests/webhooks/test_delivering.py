"""A delivery keeps its id and body over attempts, is signed as each attempt leaves, and ends by one deadline."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest
from aiohttp import web
from msgspec.structs import replace
from standardwebhooks import Webhook

from pipeline.errors import Refused
from pipeline.webhooks.attempt import Answer, client, verdict
from pipeline.webhooks.delivering import deliver
from pipeline.webhooks.endpoints import Endpoint, rotate
from pipeline.webhooks.signing import ID, SIGNATURE, TIMESTAMP, verify
from tests.webhooks.alerts import NOW, SECRET, alert_with, delivery_of, endpoint_at
from tests.webhooks.receivers import Receiver, raw, receiver

HOUR = timedelta(hours=1)


def attempts(*moments_and_endpoints: tuple[datetime, Endpoint]) -> Receiver:
    """The same message, tried at these moments with the endpoint as it is then."""

    async def run() -> Receiver:
        async with receiver(lambda request: web.Response(status=503)) as kept, client(allow_private=True) as session:
            for at, endpoint in moments_and_endpoints:
                there = replace(endpoint, url=kept.url)
                answer = await deliver(session, delivery_of(alert_with(), 7), there, lambda at=at: at, 10)  # type: ignore[misc]
                assert answer is not None
                assert verdict(answer) == "retry"
            return kept

    return asyncio.run(run())


def test_a_second_attempt_has_the_same_id_and_body_and_a_new_timestamp_and_signature() -> None:
    endpoint = endpoint_at("https://receiver.example/")
    kept = attempts((NOW, endpoint), (NOW + HOUR, endpoint))
    first, second = kept.requests
    assert (first.headers[ID], first.body) == (second.headers[ID], second.body)
    assert int(second.headers[TIMESTAMP]) - int(first.headers[TIMESTAMP]) == 3600
    assert first.headers[SIGNATURE] != second.headers[SIGNATURE]
    assert json.loads(first.body)["id"] == first.headers[ID] == f"{7:032x}"
    for request, at in zip(kept.requests, (NOW, NOW + HOUR), strict=True):
        verify(request.headers, request.body, [SECRET], at)


def test_a_retry_after_a_rotation_is_signed_with_all_secrets_that_are_valid_then() -> None:
    before = endpoint_at("https://receiver.example/")
    rotated = rotate(before, NOW + HOUR)
    kept = attempts((NOW, before), (NOW + 2 * HOUR, rotated), (NOW + 26 * HOUR, rotated))
    counts = [len(request.headers[SIGNATURE].split(" ")) for request in kept.requests]
    assert counts == [1, 2, 1]
    for request, at, secret in zip(
        kept.requests, (NOW, NOW + 2 * HOUR, NOW + 26 * HOUR), (SECRET, SECRET, rotated.secrets[0]), strict=True
    ):
        verify(request.headers, request.body, [replace(secret, until=None)], at)
        assert Webhook(secret.value).sign(request.headers[ID], at, request.body.decode()) in request.headers[SIGNATURE]


def test_an_endpoint_whose_secrets_have_all_expired_is_refused_before_anything_is_sent() -> None:
    expired = replace(endpoint_at("https://receiver.example/"), secrets=(replace(SECRET, until=NOW),))
    with pytest.raises(Refused, match="no secret"):
        attempts((NOW, expired))


def test_one_deadline_covers_all_requests_of_a_delivery() -> None:
    """The first answer comes after a while, the second never does."""
    found = b'{"issues":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(found)

    async def run() -> tuple[Answer | None, int]:
        async with raw(head, found, once=True, pause=1.5) as server, client(allow_private=True) as session:
            endpoint = endpoint_at(server.url.removesuffix("/hook"), "jira")
            return await deliver(session, delivery_of(alert_with()), endpoint, lambda: NOW, 4), server.connections

    answer, connections = asyncio.run(run())
    assert answer is not None
    assert (answer.error, connections) == ("timeout", 2)
    assert answer.seconds < 4, "the second request has what the first left of four seconds"
