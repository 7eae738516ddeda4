"""Bad operations: each costs one clear line for the operator and nothing else; nothing is lost."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions

from pipeline.sink.app import STOP_SECONDS
from pipeline.topics import PURCHASES, SURVEYS
from tests.faults.brokers import Brokers
from tests.faults.field import Field, Running, traffic
from tests.faults.load import under_load
from tests.faults.oracle import check_kafka, told_letters
from tests.faults.rows import check_rows
from tests.faults.volume import Volume, grow
from tests.faults.warehouse import with_warehouse
from tests.faults.warehouses import Embedded
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults")


def last_words(process: Running) -> str:
    """The one line it left for the operator, before which it said nothing but what goes well."""
    text = process.log.read_text()
    assert "Traceback" not in text
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize("kind", ["worker", pytest.param("sink", marks=pytest.mark.extended)])
def test_a_wrong_partition_count_is_refused_at_the_start(field: Field, kind: str) -> None:
    process = getattr(field, kind)(LOYALTY_PARTITIONS="8")
    assert process.wait_dead() == 4
    assert "has 4 partitions, LOYALTY_PARTITIONS says 8" in last_words(process)
    assert len(process.log.read_text().splitlines()) == 1


@pytest.mark.extended
@pytest.mark.parametrize("kind", ["worker", "sink"])
def test_an_input_with_more_partitions_than_the_others_is_refused(broker: Brokers, field: Field, kind: str) -> None:
    client = broker.admin()  # must outlive its future
    name = field.settings.topic(SURVEYS.name)
    client.create_partitions([NewPartitions(name, 6)])[name].result(10)
    process = getattr(field, kind)()
    assert process.wait_dead() == 4
    assert f"topic {name} has 6 partitions" in last_words(process)


@pytest.mark.extended
@pytest.mark.parametrize("kind", ["worker", "sink"])
def test_a_missing_topic_is_refused_with_the_command_that_makes_it(broker: Brokers, field: Field, kind: str) -> None:
    client = broker.admin()  # must outlive its future
    name = field.settings.topic(PURCHASES.name)
    client.delete_topics([name])[name].result(10)
    process = getattr(field, kind)()
    assert process.wait_dead() == 4
    assert last_words(process).endswith(f"topic {name} is missing; create the topics: loyalty topics create")


@pytest.mark.extended
def test_records_of_a_foreign_partitioner_become_dead_letters_and_nothing_is_folded_twice(field: Field) -> None:
    """librdkafka's own partitioner puts most customers elsewhere; the few it puts right are used."""
    field.send(traffic(100))
    foreign = Producer({"bootstrap.servers": field.settings.kafka})
    for topic, key, value in traffic(100, seed=2, broken=0):
        foreign.produce(field.settings.topic(topic), value, key)
    assert foreign.flush(30) == 0
    field.worker().wait_ready()
    field.wait_done()
    check_kafka(field.settings)
    wrong = [letter for letter in told_letters(field.settings) if letter[3] == "wrong-partition"]
    assert len(wrong) > 200


@pytest.mark.extended
def test_of_two_workers_with_one_name_one_ends_with_one_clear_line(grown: Field) -> None:
    """One that saw the other write into its states starts again from the log (3); who lost the name ends (4)."""
    both = [grown.worker("same").wait_ready()]
    with under_load(grown):
        time.sleep(1)
        both.append(grown.worker("same").wait_ready())
        eventually(lambda: any(supervised(worker) == 4 for worker in both), 30, "one of the two ended")
        time.sleep(1)
    [loser] = [worker for worker in both if supervised(worker) == 4]
    grown.wait_done()
    assert "give every worker a LOYALTY_INSTANCE of its own" in last_words(loser)
    check_kafka(grown.settings)


def supervised(worker: Running) -> int | None:
    """The exit code of a worker, ``None`` while it runs; one that wants to start again is started again."""
    code = worker.process.poll()
    if code == 3:
        worker.start()
    return None if code == 3 else code


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Brokers]:
    """A broker for a test that ends it."""
    with Brokers(tmp_path / "kafka", heap="256m") as brokers:
        yield brokers


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [12, 60])
def test_a_broker_that_is_away_is_waited_for(own_broker: Brokers, volume: Volume, tmp_path: Path, seconds: int) -> None:
    """Worker and sink come back by themselves; the session of a group is over after ten seconds."""
    field = grow(Field(tmp_path, own_broker.bootstrap), volume)
    try:
        with_warehouse(field)
        running = [field.worker(), field.sink()]
        for process in running:
            process.wait_ready()
        with under_load(field):
            time.sleep(2)
            own_broker.nodes[0].kill()
            time.sleep(seconds)
            own_broker.nodes[0].start()
            own_broker.wait_ready()
        field.wait_done("worker")
        field.wait_done("sink")
        assert all(process.alive for process in running)
        check_kafka(field.settings)
        check_rows(field)
    finally:
        field.end()


@pytest.mark.soak
def test_a_sink_that_is_told_to_stop_while_the_broker_hangs_ends_in_time_and_the_next_finishes(
    own_broker: Brokers, embedded: Embedded, volume: Volume, tmp_path: Path
) -> None:
    field = grow(Field(tmp_path, own_broker.bootstrap, clickhouse=embedded.url), volume)
    node = own_broker.nodes[0].process
    assert node is not None
    try:
        sink = field.sink("0").wait_ready()
        sending = field.sending(traffic(300), rate=300)
        eventually(lambda: sink.metric("loyalty_sink_rows_total") > 0, 20, "it writes")
        node.send_signal(signal.SIGSTOP)
        time.sleep(2)  # by then it waits for a commit
        assert sink.stop(STOP_SECONDS + 4) == 0
        node.send_signal(signal.SIGCONT)
        sink.start().wait_ready()
        sending.join(60)
        field.wait_done("sink")
        check_rows(field)
    finally:
        field.end()


@pytest.mark.extended
def test_a_worker_that_is_told_to_stop_under_load_leaves_almost_nothing_to_be_done_again(grown: Field) -> None:
    worker = grown.worker().wait_ready()
    with under_load(grown):
        time.sleep(3)
        assert worker.stop() == 0
        assert "cut short" not in worker.tail()
        worker.start().wait_ready()
        time.sleep(1)
    grown.wait_done()
    assert worker.metric("loyalty_events_redelivered_total") == 0
    check_kafka(grown.settings)


def test_a_worker_that_wakes_up_after_another_took_over_writes_nothing(grown: Field) -> None:
    """What it had fetched and folded is older than what the other has written since."""
    asleep = grown.worker().wait_ready()
    with under_load(grown):
        time.sleep(2)
        asleep.signal(signal.SIGSTOP)
        grown.worker().wait_ready(40)  # after the other's session
        time.sleep(1)
        asleep.signal(signal.SIGCONT)
        assert asleep.wait_dead(10) == 72
    assert "another may have its partitions" in last_words(asleep)
    grown.wait_done()
    check_kafka(grown.settings)
