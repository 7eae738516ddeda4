"""The same event twice counts once, however long ago, on the real parts: real purchases sent three times, and kills."""

import random
from collections.abc import Iterator
from decimal import Decimal

import orjson
import pytest

from pipeline import kafka
from pipeline.core.state.marks import customer_of, is_piece, moved_of
from pipeline.crashpoints import VARIABLE, Point
from pipeline.simulate import event_senders
from pipeline.topics import STATES
from tests.faults.field import Field, Sent, supervised, traffic
from tests.faults.oracle import Logged, check_kafka, read_log, stored_states
from tests.faults.test_rebuild import rebuild
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-worker")

HOT = "hot"
BETWEEN = {VARIABLE: f"{Point.PIECES_CONFIRMED}:1"}


def hot(first: int, count: int) -> Iterator[Sent]:
    """Purchases of one customer, and contacts and answers under the same ids."""
    for number in range(first, first + count):
        at = f"2025-03-{number % 28 + 1:02}T10:00:00Z"
        common = {"event_id": f"h-{number}", "customer_id": HOT, "occurred_at": at}
        for topic, more in (
            ("purchases", {"order_id": "o", "amount": "12.50", "currency": "EUR"}),
            ("surveys", {"instrument": "nps", "score": number % 11}),
        ):
            yield topic, HOT.encode(), orjson.dumps(common | more)


def pieces(field: Field) -> list[Logged]:
    """The newest record of every piece that is not erased."""
    newest = {record.key: record for record in read_log(field.settings, STATES) if is_piece(record.key or b"")}
    return [record for record in newest.values() if record.value is not None]


def test_real_purchases_sent_three_times_count_once(grown: Field) -> None:
    field = grown
    event_senders.cdnow_purchases(field.settings)
    worker = field.worker("worker-0", **BETWEEN)
    assert worker.wait_dead(120) == -9, worker.tail()
    worker.start(**{VARIABLE: ""})
    for _ in range(2):
        field.wait_done()
        worker.kill()
        worker.start()
        event_senders.cdnow_purchases(field.settings)
    field.wait_done()
    customers = [state for key, state in stored_states(field.settings).items() if not key.startswith(b"sim-")]
    assert sum(customer.purchases for customer in customers) == 69_659
    assert Decimal(sum(customer.spent.get("USD", 0) for customer in customers)) / 10_000 == Decimal("2500315.63")
    moved = {customer.customer_id.encode() for customer in customers if moved_of(customer)}
    assert len(moved) == 4
    kept = {customer_of(piece.key or b"") for piece in pieces(field)}
    assert {customer for customer in kept if not customer.startswith(b"sim-")} == moved


@pytest.mark.extended
@pytest.mark.parametrize("store", ["memory", "disk"])
def test_killed_between_pieces_and_states_a_hot_customer_is_exact_and_a_rebuild_finds_nothing(
    grown: Field, store: str
) -> None:
    field = grown
    events = [*traffic(60), *hot(0, 500)]
    chance = random.Random(1)
    worker = field.worker("worker-0", LOYALTY_STORE=store, **BETWEEN)
    for first in (500, 800, 1_100):
        field.send(iter(events))
        assert worker.wait_dead() == -9, worker.tail()
        events = [*hot(first, 300), *chance.sample(events, len(events))]
        worker.start()
    worker.kill()
    worker.start(**{VARIABLE: ""}).wait_ready()
    field.send(iter(events))
    field.wait_done()
    check_kafka(field.settings)
    assert moved_of(stored_states(field.settings)[HOT.encode()]) > 2_000
    if store == "memory":
        with supervised(worker):
            assert "all equal the live ones" in rebuild(field).stdout
            lose(field, [piece for piece in pieces(field) if customer_of(piece.key or b"") == HOT.encode()][:2])
            eventually(lambda: worker.starts > 2, 60, "the worker has noticed that somebody writes")
            worker.wait_ready()
            assert ": 1 differed and were put into place" in rebuild(field).stdout
            assert "all equal the live ones" in rebuild(field).stdout
            worker.wait_ready()
        field.send(hot(0, 1_400))
        field.wait_done()
        check_kafka(field.settings)


def lose(field: Field, records: list[Logged]) -> None:
    """Take records out of the changelog, as nobody should."""
    producer = kafka.producer(field.settings, "bug")
    for record in records:
        producer.produce(field.settings.topic(STATES.name), None, record.key, record.partition)
    assert producer.flush(10) == 0
