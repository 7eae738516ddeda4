"""What an event costs with few and with many customers in memory."""

import time
from collections.abc import Sequence
from itertools import islice

from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.topics import CONTACTS, PURCHASES, SURVEYS
from tests.benchmarks.ground import PATIENCE, Ground
from tests.benchmarks.measure import START_SECONDS, Commits, Rate, cpu_seconds, end, resident
from tests.benchmarks.report import Table
from tests.benchmarks.traffic import fill, spread
from tests.faults.field import Field, Sent
from tests.stacks import eventually

SKIPPED = 100
"""Events of each topic before the states are there, committed unread; enough to reach every partition."""


def run(ground: Ground) -> list[Table]:
    """The same number of events over ever more customers."""
    sizes = ground.sizes
    events = min(sizes.scaling_events, len(ground.events))
    rates = [_rate(ground, customers) for customers in sizes.scaling]
    how = (
        f"{events:,} events of the mix, each for a customer drawn evenly, over customers that were recovered first; "
        "sent to a\nworker that is ready, its CPU until all is committed. Fewer customers get more events each, so "
        "their states and open issues\ngrow: that works against the small rows; but more of them arrive together."
    )
    base = rates[0].cpu_per_million
    rows = [
        (customers, events / customers, r.per_second, r.cpu_per_million, r.cpu_per_million / base, r.resident / 2**20)
        for customers, r in zip(sizes.scaling, rates, strict=True)
    ]
    header = ("customers", "events each", "events/s", "CPU us/event", "ratio to the first", "RSS MiB")
    return [Table("Cost per event by number of customers", how, header, rows)]


def _rate(ground: Ground, customers: int) -> Rate:
    field, sizes = ground.new_field(), ground.sizes
    done = field.send(spread(_first_of_each(ground.events), customers))
    _commit_everything(field)
    fill(field.settings, customers, sizes.days)
    worker = field.worker()
    worker.wait_ready(START_SECONDS)
    commits = Commits(field.settings, field.settings.group("worker"))
    try:
        first = _first_of_each(ground.events)  # a partition's first slice makes the worker look at all it has
        done += field.send(spread(first, customers))
        eventually(lambda: commits.done() == done, PATIENCE, "every partition is open")
        cpu, wall = cpu_seconds(worker.process.pid), time.monotonic()
        sent = field.send(spread(ground.events[: sizes.scaling_events], customers))
        eventually(lambda: commits.done() == done + sent, PATIENCE, "everything is folded")
        spent = cpu_seconds(worker.process.pid) - cpu
        return Rate(sent, time.monotonic() - wall, spent, resident(worker.process.pid))
    finally:
        commits.close()
        end(worker.process)


def _first_of_each(events: Sequence[Sent]) -> list[Sent]:
    kinds = {topic for topic, _, _ in events}
    return [event for kind in sorted(kinds) for event in islice((e for e in events if e[0] == kind), SKIPPED)]


def _commit_everything(field: Field) -> None:
    """Say for the worker that it is done with all there is: a worker that has states has committed offsets too."""
    settings = field.settings
    ends = kafka.end_offsets(settings, (PURCHASES, CONTACTS, SURVEYS))
    offsets = [TopicPartition(settings.topic(topic), p, end) for (topic, p), (_, end) in ends.items()]
    assert all(each.offset > 0 for each in offsets), "a partition got nothing"
    consumer = kafka.consumer(settings, "bench-commit", settings.group("worker"))
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()
