"""Dead letters: each record's once, and sent again without losing any that the broker does not take."""

import os

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pipeline import kafka
from pipeline.errors import Reason, Unreachable
from pipeline.kafka import dead_letters as letters
from pipeline.operations import dead_letters
from pipeline.records import DeadLetter, Record
from pipeline.simulate.send import send
from pipeline.topics import PURCHASES
from tests.faults.field import Field
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-topics")
SMALL = "20000"


def set_aside(field: Field, values: dict[int, bytes], times: int = 1) -> None:
    """Make records dead letters, by their offsets, as often as a crash in between makes it."""
    producer = kafka.producer(field.settings, "test")
    for _ in range(times):
        sending, failures = kafka.Sending(producer), list[str | None]()
        for offset, value in values.items():
            record = Record(offset, 1_760_000_000_000, b"42", value, ())
            letters.send(sending, DeadLetter("purchases", 0, record, Reason.FUTURE, "too early"), field.settings)
        sending.finish(failures.append)
        kafka.flush(producer)
        assert failures == [None]


def refuse_large(field: Field) -> None:
    """Let the broker take small purchases only."""
    resource = ConfigResource(
        ResourceType.TOPIC, field.settings.topic("purchases"),
        incremental_configs=[ConfigEntry("max.message.bytes", SMALL, incremental_operation=AlterConfigOpType.SET)],
    )  # fmt: skip
    admin = kafka.admin(field.settings)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


def test_a_record_that_was_set_aside_twice_is_one_letter(field: Field) -> None:
    set_aside(field, {7: b"a", 8: b"b"}, times=3)
    found = list(dead_letters.read(field.settings))
    assert len(found) == 6
    assert {letter.place[2] for letter in dead_letters.distinct(found)} == {7, 8}
    assert len(dead_letters.distinct(found)) == 2
    assert dead_letters.replay(field.settings, lambda _letter: True) == (2, 0, [])


@pytest.mark.extended
def test_what_is_sent_again_in_vain_stays_one_letter_and_is_sent_once(field: Field) -> None:
    field.worker().wait_ready()
    field.send(iter([("surveys", b"42", b'{"event_id":"%d"}' % number) for number in range(3)]))
    for round_ in range(1, 4):
        eventually(lambda n=3 * round_: len(list(dead_letters.read(field.settings))) == n, 30, "they are set aside")  # type: ignore[misc]
        listed = dead_letters.distinct(dead_letters.read(field.settings))
        assert sorted(letter.value or b"" for letter in listed) == [b'{"event_id":"%d"}' % n for n in range(3)]
        assert dead_letters.replay(field.settings, lambda _letter: True) == (3, 0, [])


@pytest.mark.extended
def test_a_header_alone_hides_no_letter(field: Field) -> None:
    """Anybody can write that a record is another one, sent again."""
    set_aside(field, {7: b"a"})
    (hidden,) = dead_letters.read(field.settings)
    forged = [(dead_letters.REPLAYED, hidden.identity.encode())]
    producer, failures = kafka.producer(field.settings, "test"), list[str | None]()
    sending = kafka.Sending(producer)
    record = Record(8, 1_760_000_000_000, b"42", b"b", forged)
    letters.send(sending, DeadLetter("purchases", 0, record, Reason.FUTURE, "too early"), field.settings)
    sending.finish(failures.append)
    kafka.flush(producer)
    assert {letter.value for letter in dead_letters.distinct(dead_letters.read(field.settings))} == {b"a", b"b"}


def test_what_the_broker_refuses_is_said_and_stays(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """And more than may wait at a time is sent all the same, bit by bit."""
    refuse_large(field)
    large, many = os.urandom(40_000), {number: os.urandom(5_000) for number in range(100, 160)}
    set_aside(field, {7: large} | many)
    monkeypatch.setattr(dead_letters, "MOST_WAITING_KB", 64)
    before = len(list(dead_letters.read(field.settings)))
    done = dead_letters.replay(field.settings, lambda _letter: True)
    assert (done.sent, done.of_erased, len(done.refused)) == (60, 0, 1)
    ((identity, why),) = done.refused
    assert dead_letters.find(field.settings, identity).offset == 7
    assert "too large" in why.lower()
    assert len(list(dead_letters.read(field.settings))) == before
    logged = sum(end - low for low, end in kafka.end_offsets(field.settings, [PURCHASES]).values())
    assert logged == 60


def test_what_no_broker_would_take_is_a_failure_and_no_traceback(field: Field) -> None:
    huge: dict[str, object] = {"customer_id": "42", "note": os.urandom(20 * 1024 * 1024).hex()}
    with pytest.raises(Unreachable, match="Kafka did not take every one of 1 events"):
        send(field.settings, [("purchases", huge)], lambda _count: None)
