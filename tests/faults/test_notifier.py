"""The notifier: what leaves it arrives at least once, signed, unchanged and in order, whatever is killed meanwhile."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.crashpoints import VARIABLE, Point
from pipeline.errors import Refused
from pipeline.exits import Exit
from pipeline.topics import ALERTS, OUTCOMES
from pipeline.webhooks import administration, log
from pipeline.webhooks.endpoints import EndpointFile
from pipeline.webhooks.replay import replayed
from tests.faults.alerts_told import START, alert, tell, told
from tests.faults.field import Field, Running
from tests.faults.volume import TOLD
from tests.faults.webhook_receiver import Receiver, check
from tests.stacks import eventually, free_ports

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("faults-notifier")]
POINTS = [point for point in Point if point.startswith("notifier-")]
EACH = (Point.NOTIFIER_ATTEMPTED, Point.NOTIFIER_LOGGED, Point.NOTIFIER_SETTLED)
"""Passed by every attempt; the others by everything that is read together."""


def endpoint(settings: Settings, name: str, receiver: Receiver) -> Receiver:
    """Add an endpoint for a receiver on this machine, which learns the secret."""
    receiver.secret = administration.add(
        settings, name, receiver.url, shape="standard", language="en", severities=(),
        private=administration.Private(), allow_private=True,
    )  # fmt: skip
    return receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as made:
        yield made


def wanted(*told: dict[str, list[int]]) -> dict[str, list[int]]:
    merged: dict[str, list[int]] = {}
    for sequences in told:
        for identity, numbers in sequences.items():
            merged.setdefault(identity, []).extend(numbers)
    return merged


def order_of(receiver: Receiver) -> dict[str, list[int]]:
    """The sequences of each alert in the order of their first arrival, after every check of the requests themselves."""
    arrived: dict[str, list[int]] = {}
    for one in check(receiver):
        data = one.data["data"]
        arrived.setdefault(data["alert_id"], []).append(data["sequence"])
    return arrived


def until_told(receiver: Receiver, sequences: dict[str, list[int]], seconds: float = 120, *who: Running) -> None:
    """Wait until everything has arrived, and compare; the order of each alert is that of the log."""
    count = sum(map(len, sequences.values()))
    eventually(lambda: len(receiver.firsts()) >= count, seconds, f"{count} messages; {[one.tail() for one in who]}")
    assert order_of(receiver) == sequences


def test_an_alert_reaches_its_endpoint_within_a_second_signed_and_is_pending_no_more(
    field: Field, receiver: Receiver
) -> None:
    endpoint(field.settings, "desk", receiver)
    tell(field.settings, told(3, "before"))
    notifier = field.notifier().wait_ready()
    sequences = tell(field.settings, told(20))
    until_told(receiver, sequences, 60, notifier)
    eventually(lambda: notifier.metric("loyalty_webhook_pending") == 0, 20, "nothing is pending")
    attempts = log.attempts(field.settings, 1_000)
    assert {(one["outcome"], one["number"]) for one in attempts} == {("delivered", 1)}
    assert len(attempts) == sum(map(len, sequences.values()))
    assert receiver.secret.encode() not in notifier.log.read_bytes()
    assert notifier.stop() == Exit.OK


def test_nobody_is_told_of_what_is_held_out_or_imported_or_no_alert(field: Field, receiver: Receiver) -> None:
    endpoint(field.settings, "desk", receiver)
    notifier = field.notifier().wait_ready()
    tell(field.settings, iter([alert("held", held_out=True), alert("old", backfill=True)]))
    sequences = tell(field.settings, told(1, "told"))
    until_told(receiver, sequences, 60, notifier)
    assert {one.data["data"]["customer_id"] for one in receiver.received} == {"told-0"}
    assert notifier.metric("loyalty_webhook_alerts_kept_total") == 2


def grow(field: Field, receiver: Receiver, notifier: Running) -> dict[str, list[int]]:
    """A log of some size, delivered: kills happen on what has a history in every partition."""
    sequences = tell(field.settings, told(300, "grown"))
    assert min(end for _, end in kafka.end_offsets(field.settings, [ALERTS]).values()) >= TOLD
    until_told(receiver, sequences, 120, notifier)
    field.grown = True
    return sequences


def once_in_a_while(chance: random.Random) -> Callable[[str], int]:
    """Some messages are refused the first time."""
    seen = set[str]()

    def answer(identity: str) -> int:
        first = identity not in seen
        seen.add(identity)
        return 503 if first and chance.random() < 0.02 else 204

    return answer


@pytest.mark.parametrize("kills", [len(POINTS), pytest.param(20, marks=pytest.mark.extended)])
def test_killed_at_every_step_under_traffic_it_loses_nothing_and_changes_nothing(
    field: Field, receiver: Receiver, kills: int
) -> None:
    chance = random.Random(7)
    endpoint(field.settings, "desk", receiver)
    receiver.answer = once_in_a_while(chance)
    notifier = field.notifier("n").wait_ready()
    sequences = [grow(field, receiver, notifier)]
    notifier.kill()
    for number, point in zip(range(kills), itertools.cycle([*POINTS, None]), strict=False):
        sequences.append(tell(field.settings, told(8, f"kill-{number}")))
        crash = {} if point is None else {VARIABLE: f"{point}:{chance.randrange(1, 30) if point in EACH else 1}"}
        notifier.start(**crash)
        if point is None:
            notifier.wait_ready()
            time.sleep(chance.random())
            notifier.kill()
        else:
            assert notifier.wait_dead() == -signal.SIGKILL, notifier.tail()
    notifier.start().wait_ready()
    until_told(receiver, wanted(*sequences), 180, notifier)
    eventually(lambda: notifier.metric("loyalty_webhook_pending") == 0, 60, "nothing is pending")


def test_two_notifiers_share_the_partitions_and_take_over_from_each_other(field: Field, receiver: Receiver) -> None:
    endpoint(field.settings, "desk", receiver)
    first = field.notifier().wait_ready()
    sequences = [grow(field, receiver, first)]
    second = field.notifier().wait_ready()
    sequences.append(tell(field.settings, told(40, "shared")))
    until_told(receiver, wanted(*sequences), 120, first, second)
    first.signal(signal.SIGSTOP)
    sequences.append(tell(field.settings, told(40, "frozen")))
    until_told(receiver, wanted(*sequences), 120, first, second)
    first.signal(signal.SIGCONT)
    assert first.wait_dead() == Exit.FROZEN
    first.start().wait_ready()
    sequences.append(tell(field.settings, told(40, "again")))
    second.kill()
    until_told(receiver, wanted(*sequences), 120, first, second)


def test_one_dead_endpoint_delays_no_other_and_an_outage_ends_with_one_probe(field: Field, receiver: Receiver) -> None:
    with ExitStack() as stack:
        dead = stack.enter_context(Receiver(answer=lambda _: 503).listening())
        endpoint(field.settings, "desk", receiver)
        endpoint(field.settings, "dead", dead)
        notifier = field.notifier().wait_ready()
        sequences = tell(field.settings, told(60))
        until_told(receiver, sequences, 60, notifier)
        assert dead.requests < 60
        count = sum(map(len, sequences.values()))
        eventually(lambda: notifier.metric("loyalty_webhook_pending") == count, 20, "all of one endpoint is pending")
        dead.answer = lambda _: 204
        until_told(dead, sequences, 120, notifier)


def test_an_endpoint_that_is_gone_is_disabled_with_one_notice(field: Field) -> None:
    with Receiver(answer=lambda _: 410).listening() as gone:
        endpoint(field.settings, "gone", gone)
        notifier = field.notifier().wait_ready()
        tell(field.settings, told(10))
        file = EndpointFile(field.settings.webhooks)
        eventually(lambda: not file.read()["gone"].enabled, 30, "disabled")
        requests = gone.requests
        tell(field.settings, told(10, "later"))
        time.sleep(2)
        assert gone.requests == requests
        assert sum("answered 410" in line["event"] for line in notifier.said()) == 1


def test_endpoints_that_come_and_go_are_followed_within_seconds(field: Field, receiver: Receiver) -> None:
    notifier = field.notifier().wait_ready()
    tell(field.settings, told(3, "nobody"))
    endpoint(field.settings, "late", receiver)
    eventually(lambda: notifier.metric("loyalty_webhook_endpoints") == 1, 10, "the endpoint is known")
    until_told(receiver, tell(field.settings, told(3)), 30, notifier)
    field.settings.webhooks.chmod(0o644)
    field.settings.webhooks.touch()
    eventually(lambda: notifier.metric("loyalty_webhook_file_refused") == 1, 10, "the file is refused")
    field.settings.webhooks.chmod(0o600)
    eventually(lambda: notifier.metric("loyalty_webhook_file_refused") == 0, 10, "the file is used")


def test_a_replay_sends_what_was_told_under_the_same_ids(field: Field, receiver: Receiver) -> None:
    endpoint(field.settings, "desk", receiver)
    notifier = field.notifier().wait_ready()
    sequences = tell(field.settings, told(5))
    until_told(receiver, sequences, 30, notifier)
    before = len(receiver.received)
    assert replayed(field.settings, "desk", START) == before
    eventually(lambda: len(receiver.received) == 2 * before, 30, "everything again")
    assert order_of(receiver) == sequences


def test_our_own_ports_are_no_endpoint(field: Field) -> None:
    own = Receiver()
    own.url = f"http://127.0.0.1:{field.settings.notifier_metrics_port}/metrics"
    with pytest.raises(Refused):
        endpoint(field.settings, "own", own)


def test_secrets_come_over_standard_input_and_are_shown_once(tmp_path: Path) -> None:
    env = os.environ | {"LOYALTY_WEBHOOKS_FILE": str(tmp_path / "hooks.json"), "LOYALTY_DATA_DIR": str(tmp_path)}

    def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "webhooks", *arguments],
            env=env, input=said, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    private = '{"headers": {"X-Token": "very-private"}}'
    added = run("add", "desk", "https://desk.example/hook", "--credentials", "-", said=private)
    assert added.returncode == 0, added.stderr
    assert "whsec_" in added.stdout
    assert (tmp_path / "hooks.json").stat().st_mode & 0o777 == 0o600
    shown = run("list").stdout + run("list", "--json").stdout
    assert "desk" in shown
    assert "whsec_" not in shown
    assert "very-private" not in shown
    assert "whsec_" in run("rotate", "desk").stdout
    assert "expires" in run("rotate", "desk").stderr + run("rotate", "desk").stderr
    wrong = run("add", "other", "https://desk.example/hook", "--credentials", "-", said='{"token": "very-private"}')
    assert wrong.returncode == Exit.REFUSED
    assert "very-private" not in wrong.stderr


def test_an_outcome_that_a_ticket_system_reports_is_in_the_log_when_it_is_answered(filled: Field) -> None:
    port = free_ports(1)[0]
    secret = endpoint(filled.settings, "desk", Receiver()).secret
    filled.sink().wait_ready()
    tell(filled.settings, iter([alert("c-1")]))
    filled.wait_done("sink")
    filled.notifier(LOYALTY_INBOUND_PORT=str(port)).wait_ready()
    event = {
        "event_id": "o-1", "customer_id": "c-1", "occurred_at": "2026-06-01T10:00:00Z",
        "alert_id": alert("c-1").alert_id, "action": "called", "result": "retained", "synthetic": True,
    }  # fmt: skip
    body = json.dumps(event).encode()
    assert reported(port, secret, body) == 202
    assert reported(port, secret, body) == 200
    assert reported(port, "whsec_" + "A" * 44, body) == 401
    topic, partition = OUTCOMES.name, partition_of(b"c-1", filled.settings.partitions)
    with kafka.reading(filled.settings, "test", filled.settings.group("test")) as reader:
        outcomes = [one.value() for one in kafka.read_range(reader, filled.settings.topic(topic), partition, 0)]
    assert outcomes == [body]


def reported(port: int, secret: str, body: bytes) -> int:
    """Report an outcome as the specification says; the status of the answer."""
    timestamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"ticket-1.{timestamp}.".encode() + body, hashlib.sha256).digest()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/outcomes/desk",
        data=body,
        headers={
            "webhook-id": "ticket-1",
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
