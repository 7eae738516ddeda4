"""Records that are not this worker's, in the two topics that have one writer; and an old state after a newer one."""

import pytest
from confluent_kafka import Producer

from pipeline import kafka
from pipeline.topics import ALERTS, STATES, Topic
from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import Logged, check_kafka, read_log
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-worker")
REPORTED = "records that no worker wrote lie in a topic of ours; they change nothing"


@pytest.fixture
def idle(grown: Field) -> Running:
    """A worker that has worked and has nothing to do."""
    worker = grown.worker("worker-0").wait_ready()
    grown.send(traffic(100))
    grown.wait_done()
    return worker


def write(field: Field, topic: Topic, record: Logged) -> None:
    """Put a record behind the last one of its partition."""
    producer: Producer = kafka.producer(field.settings, "stranger")
    producer.produce(
        field.settings.topic(topic.name),
        record.value,
        record.key,
        record.partition,
        headers=list(record.headers.items()),
    )
    assert producer.flush(10) == 0


def newest(field: Field, topic: Topic) -> Logged:
    """The last record of a partition."""
    return max(read_log(field.settings, topic), key=lambda record: record.offset)


def reports(worker: Running) -> list[tuple[str, int, int, int]]:
    lines = worker.log.read_text().splitlines()
    assert all(line.startswith("{") for line in lines), "a line of the log is not JSON"
    said = [line for line in worker.said() if line["event"] == REPORTED]
    return [(line["topic"], line["partition"], line["first"], line["last"]) for line in said]


@pytest.mark.extended
@pytest.mark.parametrize("topic", [STATES, ALERTS], ids=["customer-states", "churn-alerts"])
def test_a_strangers_record_behind_our_last_one_is_reported_once_and_changes_nothing(
    grown: Field, idle: Running, topic: Topic
) -> None:
    last = newest(grown, topic)
    write(grown, topic, last._replace(value=b"a stranger's", headers={}))
    eventually(lambda: bool(reports(idle)), 15, "it is reported")
    grown.send(traffic(100, seed=2))
    grown.send(traffic(100))
    grown.wait_done()
    assert idle.alive
    assert reports(idle) == [(topic.name, last.partition, last.offset + 1, last.offset + 1)]
    check_kafka(grown.settings)


@pytest.mark.parametrize(
    "topic",
    [
        pytest.param(STATES, id="customer-states"),
        pytest.param(ALERTS, id="churn-alerts", marks=pytest.mark.extended),
    ],
)
def test_another_workers_record_behind_our_last_one_ends_the_worker(grown: Field, idle: Running, topic: Topic) -> None:
    last = newest(grown, topic)
    write(grown, topic, last)
    assert idle.wait_dead(15) == 3
    assert f"another worker writes into {topic.name}, partition {last.partition}" in idle.tail()
    assert "Traceback" not in idle.tail()
    idle.start().wait_ready()
    grown.send(traffic(100, seed=2))
    grown.wait_done()
    check_kafka(grown.settings)


def stopped_and_overwritten(field: Field, store: str) -> tuple[Running, Logged]:
    """A worker that has stopped, and a customer's newest state, after which the oldest was written again."""
    worker = field.worker("worker-0", LOYALTY_STORE=store).wait_ready()
    events = list(traffic(100))
    for half in (events[:240], events[240:]):
        field.send(iter(half))
        field.wait_done()
    assert worker.stop() == 0
    states: dict[bytes | None, list[Logged]] = {}
    for record in read_log(field.settings, STATES):
        states.setdefault(record.key, []).append(record)
    old, *_, new = next(kept for kept in states.values() if len(kept) > 1)
    write(field, STATES, old)
    return worker, new


def send_others(field: Field) -> None:
    """Events of other customers, in every partition."""
    field.send(traffic(50, seed=2, days=60))
    field.wait_done()


@pytest.mark.extended
@pytest.mark.parametrize("store", ["memory", pytest.param("disk", marks=pytest.mark.soak)])
def test_a_state_that_an_old_one_was_written_after_is_written_on_top_of_it_again(grown: Field, store: str) -> None:
    worker, good = stopped_and_overwritten(grown, store)
    worker.start().wait_ready()
    send_others(grown)
    assert "states were overwritten by older ones; written again" in worker.tail()
    again = [record for record in read_log(grown.settings, STATES) if record.key == good.key][-1]
    assert (again.value, again.offset > good.offset) == (good.value, True)
    check_kafka(grown.settings)


@pytest.mark.extended
@pytest.mark.parametrize("store", [pytest.param("memory", marks=pytest.mark.soak), "disk"])
def test_a_state_is_written_again_also_when_the_worker_had_nothing_to_do_before_its_next_start(
    grown: Field, store: str
) -> None:
    worker, _ = stopped_and_overwritten(grown, store)
    worker.start().wait_ready()
    assert worker.stop() == 0
    worker.start().wait_ready()
    send_others(grown)
    check_kafka(grown.settings)
