"""Processes killed in the middle of the replay: the same figures in the end, and every state equal to a reference."""

import threading

import msgspec
import pytest
from pipeline.core.customer import Customer

from tests.e2e.test_demo import facts, reference
from tests.stacks import Stack, eventually

pytestmark = pytest.mark.timeout(400)
RATE = "14000"


def replay(stack: Stack) -> threading.Thread:
    """The replay, running; slow enough to be hit in the middle."""
    sender = threading.Thread(target=lambda: stack.run("replay", "cdnow", "--rate", RATE, seconds=200))
    sender.start()
    return sender


def consumed(stack: Stack) -> int:
    return int(stack.rows("SELECT count() AS n FROM raw_purchases")[0]["n"])


@pytest.mark.parametrize("victim", ["worker", "broker", "sink"])
def test_kill_9_in_the_middle_of_the_replay_ends_in_the_same_figures(stack: Stack, victim: str) -> None:
    stack.start()
    before = stack.pid_of(victim)
    sender = replay(stack)
    eventually(lambda: 10_000 < consumed(stack) < 50_000, 60, "the middle of the replay")
    stack.kill(victim)
    eventually(lambda: stack.pid_of(victim) != before, 30, f"a new {victim}")
    sender.join(200)

    def folded() -> int:
        return int(stack.rows("SELECT sum(purchases) AS n FROM customers")[0]["n"] or 0)

    eventually(lambda: folded() >= 69_659 and consumed(stack) >= 69_659, 90, "everything folded and stored")
    figures = stack.rows(
        "SELECT count() AS records, uniqExact(_topic, _partition, _offset) AS offsets, uniqExact(event_id) AS events, "
        "uniqExact(customer_id) AS customers, toString(sum(amount)) AS usd FROM raw_purchases"
    )
    assert {name: str(value) for name, value in figures[0].items()} == {
        "records": "69659",
        "offsets": "69659",
        "events": "69659",
        "customers": "23570",
        "usd": "2500315.63",
    }
    expected, _ = reference(service=False)
    rows = stack.rows("SELECT customer_id, state FROM customer_states FINAL")
    stored = {row["customer_id"]: msgspec.json.decode(row["state"], type=Customer) for row in rows}
    assert {name: facts(c) for name, c in stored.items()} == {name: facts(c) for name, c in expected.items()}
    assert any(f"{victim}" in line and "died" in line for line in stack.lines)
    assert {p["process"]: p["restarts"] for p in stack.json("status")["processes"]}[victim] == 1
    assert stack.stop() == 0
