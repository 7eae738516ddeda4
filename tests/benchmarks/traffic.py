"""The data: the full event mix of a synthetic population, and states as that mix leaves them."""

import random
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain

import msgspec
import orjson

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.state.customer import Customer
from pipeline.simulate.population import lives
from pipeline.topics import STATES
from tests.benchmarks.same_step import SameStep, write_state
from tests.faults.field import Sent

SEED = 1
FIRST_DAY = date(2023, 1, 1)
"""Long enough ago that no event lies in the broker's future, where it would be rejected."""
TEMPLATE_SEED = 2
TEMPLATES = 1_000
APPENDED_MS = 4e12
"""A moment after every event, for records that never were in a log."""


def mix(customers: int, days: int, most: int | None = None, seed: int = SEED) -> list[Sent]:
    """Encoded events in time order: three quarters purchases, a fifth contacts, the rest answers and calls."""
    events = [
        (str(event["occurred_at"]), str(event["event_id"]), topic, str(event["customer_id"]).encode(),
         orjson.dumps(event))
        for topic, event in chain.from_iterable(lives(range(customers), days, seed, FIRST_DAY))
    ]  # fmt: skip
    events.sort()
    return [(topic, key, value) for _, _, topic, key, value in events[:most]]


def spread(events: Sequence[Sent], customers: int) -> Iterator[Sent]:
    """The same events, each given to a customer drawn evenly."""
    chance = random.Random(SEED)
    for topic, _, value in events:
        name = customer_name(chance.randrange(customers))
        yield topic, name.encode(), orjson.dumps({**orjson.loads(value), "customer_id": name})


def customer_name(number: int) -> str:
    """The id of a customer whose state is written directly."""
    return f"bench-{number:09d}"


def templates(days: int) -> list[Customer]:
    """Customers as the mix leaves them."""
    step, states = SameStep(), dict[bytes, Customer]()
    for offset, (topic, key, value) in enumerate(mix(TEMPLATES, days, seed=TEMPLATE_SEED)):
        event = step.decode(topic, APPENDED_MS, value)
        states[key] = step.fold(topic, offset, event, states.get(key)).customer
    return list(states.values())


def states(customers: int, days: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and encoded states of so many customers, with nothing applied yet."""
    made = templates(days)
    for number in range(customers):
        name = customer_name(number)
        customer = msgspec.structs.replace(made[number % len(made)], customer_id=name, applied={})
        yield name.encode(), write_state(customer)


def fill(settings: Settings, customers: int, days: int) -> None:
    """Write the states of so many customers straight into the changelog."""
    producer, topic = kafka.producer(settings, "fill"), settings.topic(STATES.name)
    for key, value in states(customers, days):
        while True:
            try:
                producer.produce(topic, value, key)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        producer.poll(0)
    kafka.flush(producer, 120)
