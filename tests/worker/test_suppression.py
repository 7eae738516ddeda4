"""What a partition's states hold of erased customers is found, and no byte of it stays on disk."""

import asyncio
from pathlib import Path

from pipeline.core.state.customer import Customer, decode_state, encode_state
from pipeline.core.state.marks import piece_of
from pipeline.core.state.profile import ReferralState, Stated
from pipeline.core.state.suppression import digest_of
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.stores import DiskStore, MemoryStore
from pipeline.worker.suppression import forget, forgotten

GONE = b"the-erased-one"


def referred(name: str, by: bytes) -> bytes:
    return encode_state(Customer(customer_id=name, stated=Stated(referred_by=ReferralState(1, "e", by.decode()))))


def test_the_states_of_erased_customers_and_what_others_say_of_them_are_found() -> None:
    store = MemoryStore()
    store.put({GONE: encode_state(Customer(customer_id=GONE.decode())), b"a": referred("a", GONE),
               b"b": referred("b", b"c"), b"c": b"no state of ours"}, 3)  # fmt: skip
    found = asyncio.run(forgotten(store, {digest_of(GONE)}))
    assert found.erased == [GONE]
    assert {key: decode_state(value).stated for key, value in found.changed.items()} == {b"a": None}
    assert asyncio.run(forgotten(store, {digest_of(b"nobody")})) == ([], {})


def test_the_pieces_of_erased_customers_are_found_also_where_no_state_knows_them() -> None:
    piece = b"\x00\x01\x02\x00\x00\x00\x07"
    store = MemoryStore()
    store.put(
        {piece + GONE: piece_of({bytes(8): 0}), piece + b"a": piece_of({bytes(8): 0}), b"a": referred("a", b"b")}, 3
    )
    assert asyncio.run(forgotten(store, {digest_of(GONE)})) == ([piece + GONE], {})


def bytes_under(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_what_was_erased_from_a_store_on_disk_is_in_none_of_its_files(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    piece = b"\x00\x01\x02\x00\x00\x00\x07" + GONE
    store.put({GONE: b"1", piece: piece_of({bytes(8): 0}), b"neighbour": b"2"}, 1)
    store.close()
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    assert GONE in bytes_under(tmp_path)
    store.put({GONE: None, piece: None}, 2)
    store.scrub()
    assert (store.get(GONE), store.get(b"neighbour"), len(store)) == (None, b"2", 1)
    store.close()
    assert GONE not in bytes_under(tmp_path)
    assert b"neighbour" in bytes_under(tmp_path)


class Confirmed:
    """An output that confirms everything."""

    async def states(self, _partition: int, _values: object) -> int:
        return 9


def test_an_erased_customer_is_in_no_list_of_what_is_to_be_written_again(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    store.superseded |= {GONE, b"a"}
    store.put({GONE: b"1", b"a": b"2"}, 3)
    assert asyncio.run(forget(0, store, Confirmed(), {digest_of(GONE)})) == [GONE]  # type: ignore[arg-type]
    assert store.superseded == {b"a"}
    store.close()
    assert GONE not in bytes_under(tmp_path)


def test_what_another_had_erased_is_scrubbed_too_also_after_a_restart(tmp_path: Path) -> None:
    """Where no worker runs, the changelog is told to forget from elsewhere; the next worker finds nothing to erase."""
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    store.put({GONE: b"1"}, 1)
    store.close()
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    store.put({GONE: None}, 2)
    store.close()
    store = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    before = store.unscrubbed
    nobody: KafkaOutputs = object.__new__(KafkaOutputs)
    assert asyncio.run(forget(0, store, nobody, {digest_of(GONE)})) == []
    assert (before, store.unscrubbed) == (True, False)
    store.close()
    assert GONE not in bytes_under(tmp_path)
    again = DiskStore(tmp_path / "states-0", "states", 1_000_000)
    assert not again.unscrubbed
    again.close()
