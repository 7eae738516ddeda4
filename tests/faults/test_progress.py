"""What moves is what is judged: workers and sinks that run elsewhere."""

import signal

import pytest
from confluent_kafka import Producer

from pipeline import kafka
from pipeline.errors import Refused
from pipeline.operations import health
from pipeline.topics import OUTCOMES, PURCHASES
from tests.faults.brokers import Brokers
from tests.faults.field import Field, traffic
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults")


def of_workers(field: Field) -> health.HealthVerdict:
    """What is found of the workers; no sink runs, and that is said."""
    workers, sinks = health.progress(field.settings)
    assert (sinks.state, sinks.well) == ("none", False)
    assert "Start one: loyalty sink" in sinks.why
    return workers


def test_workers_elsewhere_are_judged_by_their_commits(broker: Brokers, grown: Field) -> None:
    """One with nothing to do but the marks of a transaction; one that is frozen, and still counts as a member."""
    field = grown
    worker = field.worker("0").wait_ready()
    field.wait_done()
    before = worker.metric("loyalty_events_consumed_total")
    transactional = Producer({"bootstrap.servers": field.settings.kafka, "transactional.id": field.settings.database})
    transactional.init_transactions(20)
    transactional.begin_transaction()
    topic, key, value = next(sent for sent in traffic(1) if sent[0] == PURCHASES.name)
    transactional.produce(field.settings.topic(topic), value, key)
    transactional.commit_transaction(20)
    eventually(lambda: worker.metric("loyalty_events_consumed_total") == before + 1, 30, "the record")
    assert of_workers(field).well, "the mark of a transaction is nothing that waits"
    worker.signal(signal.SIGSTOP)
    field.send(traffic(5))
    assert of_workers(field).state in ("stuck", "none")  # none: its session is over
    worker.kill()

    name = field.settings.topic(OUTCOMES.name)
    client = broker.admin()  # must outlive its future
    client.delete_topics([name])[name].result(10)
    with pytest.raises(Refused, match=f"topic {name} is missing"):
        kafka.committed(field.settings, field.settings.group("worker"), [OUTCOMES])
