"""What an event costs with few and with many customers in memory."""

from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.topics import INPUTS
from tests.benchmarks.ground import Ground
from tests.benchmarks.measure import Rate
from tests.benchmarks.report import Table
from tests.benchmarks.traffic import fill, spread
from tests.faults.field import Field

SKIPPED = 400
"""Events before the states are there, committed unread; enough to reach every partition."""


def run(ground: Ground) -> list[Table]:
    """The same number of events over ever more customers."""
    sizes = ground.sizes
    rates = [_rate(ground, customers) for customers in sizes.scaling]
    how = (
        f"{rates[0].events:,} events or more of the mix, each for a customer drawn evenly, over "
        "customers that were recovered first.\nFewer customers get more events each, so their states grow larger: that "
        "works against the small rows."
    )
    base = rates[0].cpu_per_million
    rows = [
        (customers, r.events / customers, r.per_second, r.cpu_per_million, r.cpu_per_million / base, r.resident / 2**20)
        for customers, r in zip(sizes.scaling, rates, strict=True)
    ]
    header = ("customers", "events each", "events/s", "CPU us/event", "ratio to the first", "RSS MiB")
    return [Table("Cost per event by number of customers", how, header, rows)]


def _rate(ground: Ground, customers: int) -> Rate:
    field, sizes = ground.new_field(), ground.sizes
    events = list(spread(ground.events[: sizes.scaling_events + SKIPPED], customers))
    field.send(iter(events[:SKIPPED]))
    _commit_everything(field)
    fill(field.settings, customers, sizes.days)
    field.send(iter(events[SKIPPED:]))
    return ground.measure_worker(field, len(events))


def _commit_everything(field: Field) -> None:
    """Say for the worker that it is done with all there is: a worker that has states has committed offsets too."""
    settings = field.settings
    ends = kafka.end_offsets(settings, INPUTS)
    consumer = kafka.consumer(settings, "bench-commit", settings.group("worker"))
    offsets = [TopicPartition(settings.topic(topic), p, end) for (topic, p), (_, end) in ends.items() if end]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()
