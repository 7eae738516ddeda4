"""An attempt goes where it was sent, and to no private address, whatever a name or a receiver says."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.webhooks.attempt import Answer, attempt, client, verdict
from tests.webhooks.attempts import OK, SECONDS, to, tried
from tests.webhooks.receivers import raw, receiver


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_never_followed(status: int) -> None:
    """To the metadata of a cloud, and to a server that would answer."""

    async def run(place: str) -> tuple[Answer, int]:
        async with (
            receiver(lambda request: web.Response(text="followed")) as other,
            receiver(lambda request: web.Response(status=status, headers={"Location": place or other.url})) as kept,
        ):
            return await tried(kept.url), len(other.requests)

    for place in ("http://169.254.169.254/latest/meta-data/", ""):
        answer, followed = asyncio.run(run(place))
        assert (answer.status, answer.error, followed) == (status, "redirect", 0)
        assert verdict(answer) == "failed"


class Rebinding(AbstractResolver):
    """A resolver whose answer changes with every look-up."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["169.254.169.254"],
        ["127.0.0.1", "::1"], ["10.0.0.1", "127.0.0.1", "fe80::1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_name_that_is_private_when_it_is_sent_to_is_refused_at_the_connection(addresses: list[str]) -> None:
    """Public when added, private when sent: a server listens there and hears nothing."""

    async def run() -> tuple[Answer, int]:
        async with raw(OK) as server, client(allow_private=False) as session:
            connector = session.connector
            assert isinstance(connector, aiohttp.TCPConnector)
            await connector._resolver.close()
            connector._resolver = Rebinding(addresses)
            port = server.url.split(":")[2].split("/", maxsplit=1)[0]
            return await attempt(session, to(f"http://hooks.example.com:{port}/hook"), {}, SECONDS), server.connections

    answer, connections = asyncio.run(run())
    assert (answer.status, answer.error, connections) == (None, "refused-address", 0)
    assert verdict(answer) == "retry"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_loopback_in_any_disguise_is_refused_at_the_connection(host: str) -> None:
    async def run() -> tuple[Answer, int]:
        async with raw(OK) as server:
            answer = await tried(server.url.replace("127.0.0.1", host), allow_private=False)
            return answer, server.connections

    answer, connections = asyncio.run(run())
    assert connections == 0
    disguised = host in ("127.1", "2130706433")  # the client knows no such hosts
    assert answer.error == ("protocol" if disguised else "refused-address")


def test_our_own_port_is_refused_at_the_connection_even_where_private_addresses_are_allowed() -> None:
    async def run() -> tuple[Answer, int]:
        async with raw(OK) as server:
            port = int(server.url.split(":")[2].split("/", maxsplit=1)[0])
            return await tried(server.url, listens=[("0.0.0.0", port)]), server.connections

    answer, connections = asyncio.run(run())
    assert (answer.error, connections) == ("refused-address", 0)
