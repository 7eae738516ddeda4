"""Pending messages: the same inputs make the same id and body, and a clock that was set back makes none wait long."""

import msgspec

from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.pending import PendingRecord, decoded, encoded, message_id, pending_for, silence_about
from tests.faults.alerts_told import START, alert

DESK = Endpoint(id="desk", url="https://desk.example/hook", language="de", created_at=START)
LONGEST = 100_000.0


def test_the_same_alert_at_the_same_place_is_the_same_message() -> None:
    told = alert("c-1")
    value = msgspec.json.encode(told)
    one, again = (pending_for(DESK, told, value, 2, 41, 1_000) for _ in range(2))
    assert one == again
    assert (one.sequence, one.message_id) == (42, message_id(told.alert_id, 42))
    assert one.message_id != pending_for(DESK, told, value, 2, 42, 1_000).message_id


def test_what_is_pending_comes_back_from_its_record_as_it_was() -> None:
    told = alert("c-1")
    one = pending_for(DESK, told, msgspec.json.encode(told), 2, 41, 1_000)
    one.attempts = 3
    back = decoded(encoded(one, due_at_ms=65_000), 2, now_ms=5_000, now=7.0, longest=LONGEST)
    assert back is not None
    assert (back.due, back.attempts, back.language, back.alert) == (67.0, 3, "de", one.alert)
    assert back.key == one.key == b"desk/" + one.message_id.encode()


def test_after_a_clock_was_set_back_nothing_waits_longer_than_the_schedule() -> None:
    told = alert("c-1")
    one = pending_for(DESK, told, msgspec.json.encode(told), 0, 0, 0)
    year_ms = 365 * 86_400_000
    back = decoded(encoded(one, due_at_ms=2 * year_ms), 0, now_ms=year_ms, now=0.0, longest=LONGEST)
    assert back is not None
    assert back.due == LONGEST


def test_what_somebody_else_wrote_is_not_pending() -> None:
    told = alert("c-1")
    good = encoded(pending_for(DESK, told, msgspec.json.encode(told), 0, 0, 0))
    for value in (b"", b"{", b"\xff", b"{}", good.replace(b'"desk"', b'"De sk"'), good.replace(b"c-1-0", b"\xff")):
        assert decoded(value, 0, 0, 0.0, LONGEST) is None
    assert msgspec.json.decode(good, type=PendingRecord)


def test_nobody_is_told_of_what_is_held_out_or_imported() -> None:
    assert silence_about(alert("c-1")) is None
    assert silence_about(alert("c-1", held_out=True)) == "held_out"
    assert silence_about(alert("c-1", backfill=True)) == "backfill"
    assert silence_about(None) == "unreadable"
