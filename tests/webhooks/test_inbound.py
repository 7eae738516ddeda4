"""Outcomes of ticket systems: signed, of an alert that is this customer's, and confirmed before they are answered."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from pipeline.config import Settings
from pipeline.errors import Transient
from pipeline.warehouse.client import Result, Warehouse
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.inbound import MOST_BYTES, Bucket, Inbound
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Outbox
from pipeline.webhooks.signing import new_secret
from tests.faults.alerts_told import START
from tests.stacks import free_ports

ALERT, HELD, OTHERS = "a" * 32, "b" * 32, "c" * 32
SECRET = new_secret(START)
DESK = Endpoint(id="desk", url="https://desk.example/hook", secrets=(SECRET,), created_at=START)


class Alerts:
    """A warehouse that knows three alerts and one outcome."""

    def __init__(self) -> None:
        self.away = False

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Result:
        if self.away:
            raise Transient("ClickHouse does not answer")
        if "raw_alert_outcomes" in sql:
            known = parameters["e"] == "stored"
            return Result([], [], [[ALERT, "called", "retained"]] if known else [])
        alerts = {ALERT: ["c-1", False], HELD: ["c-1", True], OTHERS: ["c-2", False]}
        return Result([], [], [alerts[parameters["a"]]] if parameters["a"] in alerts else [])

    def close(self) -> None:
        return


class Kept:
    """An outbox that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.away = False

    async def outcome(self, customer_id: str, value: bytes) -> None:
        if self.away:
            raise Transient("Kafka did not take a record")
        self.sent.append((customer_id, value))


class Desk:
    """A ticket system, and what stands behind the endpoint it reports to."""

    def __init__(self) -> None:
        self.alerts, self.kept = Alerts(), Kept()
        self.facts = CollectorRegistry()
        self.inbound = Inbound(
            Settings(), lambda: {"desk": DESK, "off": off}, cast(Outbox, self.kept), NotifierMetrics(self.facts),
            lambda _: cast(Warehouse, self.alerts),
        )  # fmt: skip
        self.port = free_ports(1)[0]

    async def send(
        self, body: bytes, endpoint: str = "desk", at: float | None = None, forged: bool = False
    ) -> tuple[int, dict[str, Any]]:
        timestamp = str(int(time.time() if at is None else at))
        key = base64.b64decode(SECRET.value.removeprefix("whsec_")) if not forged else b"another"
        digest = hmac.new(key, f"evt-1.{timestamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": "evt-1", "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        }  # fmt: skip
        url = f"http://127.0.0.1:{self.port}/v1/outcomes/{endpoint}"
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


off = Endpoint(id="off", url=DESK.url, secrets=DESK.secrets, enabled=False, created_at=START)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def asked(desk: Desk, ask: Callable[[Desk], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        await desk.inbound.start("127.0.0.1", desk.port)
        try:
            return await ask(desk)
        finally:
            await desk.inbound.stop()

    return asyncio.run(run())


def outcome(**changes: Any) -> bytes:
    event = {
        "event_id": "e-1", "customer_id": "c-1", "occurred_at": "2026-06-01T10:00:00Z", "alert_id": ALERT,
        "action": "called", "result": "retained", "synthetic": True,
    }  # fmt: skip
    return json.dumps(event | changes).encode()


def test_an_outcome_is_answered_when_it_is_in_the_log_and_counts_once(desk: Desk) -> None:
    async def ask(desk: Desk) -> list[int]:
        return [(await desk.send(outcome()))[0] for _ in range(2)] + [(await desk.send(outcome(event_id="stored")))[0]]

    assert asked(desk, ask) == [202, 200, 200]
    assert desk.kept.sent == [("c-1", outcome())]
    assert desk.facts.get_sample_value("loyalty_outcomes_received_total", {"status": "202"}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(outcome(alert_id="d" * 32), 404, id="an alert nobody knows"),
        pytest.param(outcome(alert_id=HELD), 404, id="an alert that is held out"),
        pytest.param(outcome(alert_id=OTHERS), 409, id="another customer's alert"),
        pytest.param(outcome(event_id="stored", result="lost"), 409, id="another outcome of the same event"),
        pytest.param(outcome(result="happy"), 422, id="a result there is not"),
        pytest.param(b"{", 422, id="no JSON"),
        pytest.param(b"x" * (MOST_BYTES + 1), 413, id="too large"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason_and_nothing_is_written(desk: Desk, body: bytes, status: int) -> None:
    answered, problem = asked(desk, lambda desk: desk.send(body))
    assert answered == status
    assert problem["status"] == status
    assert problem["detail"]
    assert "c-1" not in json.dumps(problem)
    assert desk.kept.sent == []


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"forged": True}, id="another secret"),
        pytest.param({"at": 1.0}, id="an old request"),
        pytest.param({"endpoint": "nobody"}, id="an unknown endpoint"),
        pytest.param({"endpoint": "off"}, id="a disabled endpoint"),
    ],
)
def test_who_cannot_sign_is_told_nothing_else(desk: Desk, how: dict[str, Any]) -> None:
    answered, problem = asked(desk, lambda desk: desk.send(outcome(alert_id="d" * 32), **how))
    assert (answered, problem["title"]) == (401, "Not signed")
    assert desk.kept.sent == []


def test_while_a_service_is_away_the_ticket_system_is_told_to_come_again(desk: Desk) -> None:
    async def ask(desk: Desk) -> list[int]:
        desk.alerts.away = True
        first = await desk.send(outcome())
        desk.alerts.away, desk.kept.away = False, True
        second = await desk.send(outcome())
        desk.kept.away = False
        return [first[0], second[0], (await desk.send(outcome()))[0]]

    assert asked(desk, ask) == [503, 503, 202]


def test_requests_beyond_the_rate_are_turned_away() -> None:
    now = [0.0]
    bucket = Bucket(rate=2.0, burst=3.0, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
