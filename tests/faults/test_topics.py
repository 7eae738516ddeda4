"""Topics that are deleted and made again, and records that leave a topic unread: seen, said, and gone on with."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest
from confluent_kafka import TopicPartition

from pipeline import kafka
from pipeline.crashpoints import VARIABLE, Point
from pipeline.errors import LoyaltyError
from pipeline.kafka.incarnations import SPAN
from pipeline.operations import audit, doctor, status
from pipeline.topics import ALERTS, DEAD_LETTERS, PURCHASES, STATES, SUPPRESSED, SURVEYS, Topic
from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import check_kafka, keep
from tests.faults.rows import check_rows
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-topics")


def loyalty(field: Field, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        env=os.environ | field.settings.as_env() | more, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def made_again(field: Field, *topics: Topic) -> None:
    """Delete topics and create them again."""
    client = kafka.admin(field.settings)
    names = [field.settings.topic(topic.name) for topic in topics]
    for topic in topics:
        keep(field.settings, topic)
    for future in client.delete_topics(names).values():
        future.result(20)
    eventually(lambda: not set(names) & set(kafka.metadata(field.settings).topics), 20, "they are gone")
    kafka.create_topics(field.settings)


def last_words(process: Running) -> str:
    text = process.log.read_text()
    assert "Traceback" not in text, text
    return text.strip().splitlines()[-1]


def started(field: Field) -> list[Running]:
    return [field.worker(), field.sink()]


def settle(field: Field) -> None:
    field.wait_done()
    field.wait_done("sink")


def filled_with(field: Field, seed: int, customers: int = 120) -> None:
    field.send(traffic(customers, seed=seed))


def all_refuse(field: Field, processes: Sequence[Running], said: str) -> None:
    """Each process has ended, or ends, with one line; what looks at the whole says the same."""
    for process in processes:
        assert process.wait_dead(30) == 4, process.tail()
        assert said in last_words(process)
    bad = [f"{finding.found}. {finding.remedy}" for finding in doctor.examine(field.settings) if not finding.ok]
    assert any(said in text for text in bad), bad
    with pytest.raises(LoyaltyError, match=said):
        audit.collect(field.settings)


def well(field: Field) -> None:
    """Everything equals the oracle, which knows every record that there ever was."""
    settle(field)
    check_kafka(field.settings)
    check_rows(field)
    assert audit.collect(field.settings)["ok"]
    assert status.is_healthy(status.collect(field.settings))
    assert [finding for finding in doctor.examine(field.settings) if not finding.ok] == []


def test_an_input_that_is_made_again_under_running_processes_is_refused_and_accepted_at_any_kill(filled: Field) -> None:
    processes = started(filled)
    filled_with(filled, 1)
    settle(filled)
    made_again(filled, SURVEYS)
    filled_with(filled, 2)  # more than there was: no end of the log gives it away
    all_refuse(filled, processes, f"loyalty topics accept {SURVEYS.name}")
    for point in (Point.ACCEPT_GIVEN_UP, Point.ACCEPT_RESET):
        assert loyalty(filled, "topics", "accept", SURVEYS.name, **{VARIABLE: f"{point}:1"}).returncode == -9
        processes[0].start()
        assert processes[0].wait_dead(30) == 4
    assert loyalty(filled, "topics", "accept", SURVEYS.name, **{VARIABLE: "accept-remembered:1"}).returncode == -9
    again = loyalty(filled, "topics", "accept", SURVEYS.name)
    assert (again.returncode, again.stdout) == (0, "surveys is as it was; there is nothing to accept.\n")
    for process in processes:
        process.start().wait_ready()
    well(filled)
    rows = filled.rows("SELECT min(_offset) AS first, max(_offset) AS last FROM raw_survey_responses")
    assert int(rows[0]["first"]) < SPAN <= int(rows[0]["last"])
    filled_with(filled, 3)
    for process in processes:
        process.stop()
        process.start().wait_ready()
    well(filled)


@pytest.mark.extended
def test_every_other_topic_is_recognised_at_the_next_start_and_its_remedy_works(filled: Field) -> None:
    """Alerts, dead letters, states and the list of erased customers, one after the other while nothing runs."""
    processes = started(filled)
    filled_with(filled, 1)
    settle(filled)
    erased = next(traffic(120, seed=1))[1].decode()
    assert loyalty(filled, "erase", erased, "--reason", "test-data", "--yes").returncode == 0
    settle(filled)
    for topic in (ALERTS, DEAD_LETTERS, STATES, SUPPRESSED):
        for process in processes:
            process.stop()
        made_again(filled, topic)
        remedy = ("rebuild", "--states", "--yes") if topic is STATES else ("topics", "accept", topic.name)
        for process in processes:
            process.start()
        all_refuse(filled, processes, f"loyalty {' '.join(remedy).removesuffix(' --yes')}")
        done = loyalty(filled, *remedy)
        assert done.returncode == 0, done.stderr
        for process in processes:
            process.start().wait_ready()
        filled_with(filled, 2 + len(topic.name), customers=40)
        settle(filled)
        assert audit.collect(filled.settings)["ok"], topic
    assert [finding for finding in doctor.examine(filled.settings) if not finding.ok] == []
    filled_with(filled, 1)
    settle(filled)
    assert not filled.rows(f"SELECT 1 FROM raw_purchases WHERE customer_id = '{erased}'"), "who was erased stays away"


def purged(field: Field, topic: Topic, below: dict[int, int]) -> None:
    """Retention takes the first records of partitions away."""
    client, name = kafka.admin(field.settings), field.settings.topic(topic.name)
    for future in client.delete_records([TopicPartition(name, n, offset) for n, offset in below.items()]).values():
        future.result(10)


def test_records_that_left_unread_are_counted_refused_and_given_up_once(filled: Field) -> None:
    worker, sink = started(filled)
    filled_with(filled, 1)
    settle(filled)
    worker.stop()
    sink.stop()
    before = kafka.committed(filled.settings, filled.settings.group("worker"), [PURCHASES])
    filled_with(filled, 2)
    at = before[PURCHASES.name, 0]
    purged(filled, PURCHASES, {0: at + 3})
    for process in (worker, sink):
        process.start()
    said = f"3 records of {filled.settings.topic(PURCHASES.name)}, partition 0 .offsets {at} to {at + 2}."
    for process, kind in ((worker, "worker"), (sink, "sink")):
        assert process.wait_dead(30) == 4
        assert f"before the {kind} had read them" in last_words(process)
        assert f"3 records of {filled.settings.topic(PURCHASES.name)}, partition 0" in last_words(process)
    with pytest.raises(LoyaltyError, match=said):
        audit.collect(filled.settings)
    killed = loyalty(filled, "topics", "accept", PURCHASES.name, **{VARIABLE: "accept-given-up:1"})
    assert killed.returncode == -9, killed.stderr
    assert "The worker goes on without 3 records" in loyalty(filled, "topics", "accept", PURCHASES.name).stdout
    assert "nothing to accept" in loyalty(filled, "topics", "accept", PURCHASES.name).stdout
    for process in (worker, sink):
        process.start().wait_ready()
    settle(filled)
    found = audit.collect(filled.settings)
    assert found["ok"]
    assert {(gap["reader"], gap["partition"], gap["first"], gap["below"]) for gap in found["gaps"]} == {
        ("worker", 0, at, at + 3), ("sink", 0, at, at + 3)
    }  # fmt: skip
    [stored] = filled.rows("SELECT count() AS n FROM raw_purchases WHERE _partition = 0 AND _offset BETWEEN "
                           f"{at} AND {at + 2}")  # fmt: skip
    assert int(stored["n"]) == 0


@pytest.mark.extended
def test_a_jump_over_records_that_left_while_they_were_waited_for_ends_the_process(grown_filled: Field) -> None:
    """A process that stands still (its machine, its disk) must not go on behind what it missed."""
    processes = started(grown_filled)
    settle(grown_filled)
    for process in processes:
        process.signal(signal.SIGSTOP)
    filled_with(grown_filled, 2, customers=200)
    ends = kafka.end_offsets(grown_filled.settings, [PURCHASES])
    purged(grown_filled, PURCHASES, {n: end for (_, n), (_, end) in ends.items()})
    for process in processes:
        process.signal(signal.SIGCONT)
    filled_with(grown_filled, 3, customers=40)
    for process in processes:
        assert process.wait_dead(60) != 0
        process.start()
        assert process.wait_dead(30) == 4
        assert "loyalty topics accept purchases" in last_words(process)
