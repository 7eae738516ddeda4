"""What a rebuild puts into the place of live states, and when it must not write."""

import pytest

from pipeline.core.state.customer import Customer, encode_state
from pipeline.core.state.marks import piece_of
from pipeline.core.state.suppression import digest_of
from pipeline.errors import Transient
from pipeline.rebuild.refolded import Differences, differences
from pipeline.worker.maintenance import BREATHLESS_SECONDS, SILENCE_SECONDS, SwapAnnouncement
from pipeline.worker.stores import MemoryStore


def state(purchases: int, applied: int = 5, topic: str = "purchases", recent: bytes = b"1" * 8 + b"2" * 8) -> bytes:
    made = Customer(customer_id="c", purchases=purchases, applied={topic: applied})
    made.recent = recent
    return encode_state(made)


def found(folded: dict[bytes, bytes], live: dict[bytes, bytes], kept: frozenset[bytes] = frozenset()) -> Differences:
    store = MemoryStore()
    store.put(folded, 0)
    return differences(store, live, set(kept), {digest_of(b"gone")})


def test_what_differs_is_written_and_what_no_event_makes_is_erased() -> None:
    new = {b"same": state(1), b"wrong": state(2), b"missing": state(3)}
    live = {b"same": state(1), b"wrong": state(9), b"ghost": state(1)}
    assert found(new, live) == Differences([b"ghost"], [], {b"wrong": state(2), b"missing": state(3)}, {}, [])


def test_the_order_in_which_events_arrived_is_no_difference() -> None:
    assert found({b"c": state(1)}, {b"c": state(1, recent=b"2" * 8 + b"1" * 8)}) == Differences([], [], {}, {}, [])


@pytest.mark.parametrize("live", [state(1, applied=9), state(1, topic="surveys")])
def test_a_state_that_workers_would_take_for_the_older_one_is_erased_first(live: bytes) -> None:
    assert found({b"c": state(2)}, {b"c": live}) == Differences([], [b"c"], {b"c": state(2)}, {}, [])


def test_a_live_state_that_cannot_be_read_is_written_over() -> None:
    assert found({b"c": state(2)}, {b"c": b"not ours"}) == Differences([], [], {b"c": state(2)}, {}, [])


def piece(customer: bytes, *marks: bytes, bucket: int = 0) -> tuple[bytes, bytes]:
    key = b"\x00\x01\x00" + bucket.to_bytes(4, "big") + customer
    return key, piece_of({mark * 8: 0 for mark in marks})


def test_pieces_may_differ_where_they_come_to_the_same_marks() -> None:
    new = dict([(b"c", state(1, recent=b"1" * 8)), piece(b"c", b"2", b"3")])
    live = dict([(b"c", state(1, recent=b"3" * 8)), piece(b"c", b"2"), piece(b"c", b"1", bucket=1)])
    assert found(new, live) == Differences([], [], {}, {}, [])


def test_pieces_that_lost_a_mark_are_written_before_their_state_and_what_nobody_needs_is_erased() -> None:
    new = dict([(b"c", state(1)), piece(b"c", b"2", b"3")])
    live = dict([(b"c", state(1)), piece(b"c", b"2"), piece(b"c", b"2", bucket=1), piece(b"ghost", b"4")])
    left = [piece(b"c", bucket=1)[0], piece(b"ghost")[0]]
    assert found(new, live) == Differences([], [], {b"c": state(1)}, dict([piece(b"c", b"2", b"3")]), left)


def test_a_piece_with_a_mark_that_no_event_makes_is_erased_before_it_is_written() -> None:
    new = dict([(b"c", state(1)), piece(b"c", b"2")])
    live = dict([(b"c", state(1)), piece(b"c", b"2", b"9")])
    key = piece(b"c")[0]
    assert found(new, live) == Differences([], [key], {b"c": state(1)}, dict([piece(b"c", b"2")]), [])


def test_kept_states_and_erased_customers_are_left_alone() -> None:
    assert found(
        {b"c": state(2), b"gone": state(1)}, {b"c": state(1), b"d": state(1)}, frozenset({b"c", b"d"})
    ) == Differences([], [], {}, {}, [])


def test_whoever_could_not_say_for_a_while_that_it_swaps_must_not_write() -> None:
    announced = object.__new__(SwapAnnouncement)
    announced._heard = 0.0
    with pytest.raises(Transient, match="run it again"):
        announced.check()
    announced._heard = float("inf")
    announced.check()
    assert BREATHLESS_SECONDS < SILENCE_SECONDS
