"""A partition's states: one contract for memory and disk, damaged and foreign files, which of two states is newer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.config import Settings
from pipeline.core.state.customer import Customer, encode_state
from pipeline.core.state.marks import entries, piece_of
from pipeline.errors import BadEvent, Refused, Transient
from pipeline.worker.stores import DiskStore, MemoryStore, Store
from pipeline.worker.stores import open_store as open_store_of
from pipeline.worker.table import Partition


class Logged(NamedTuple):
    """A record of the changelog."""

    offset: int
    key: bytes | None
    value: bytes | None


def state(customer: str, **applied: int) -> bytes:
    return encode_state(Customer(customer_id=customer, applied=applied, purchases=sum(applied.values())))


def on_disk(path: Path, identity: str = "states") -> DiskStore:
    return DiskStore(path / "states-0", identity, 1_000_000)


@pytest.fixture(params=["memory", "disk"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def open_() -> Store:
        opened.append(MemoryStore() if request.param == "memory" else on_disk(tmp_path))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def test_a_store_gives_back_what_it_took_and_knows_up_to_where(open_store: Callable[[], Store]) -> None:
    store = open_store()
    assert (store.last, len(store), store.get(b"a")) == (-1, 0, None)
    store.put({b"a": b"1", b"b": b"2"}, 7)
    store.put({b"a": b"3"}, 9)
    assert (store.get(b"a"), store.get(b"b"), store.last, len(store)) == (b"3", b"2", 9, 2)


def test_an_erasure_leaves_nothing(open_store: Callable[[], Store]) -> None:
    store = open_store()
    store.put({b"a": b"1", b"b": b"2"}, 1)
    store.put({b"a": None, b"unknown": None}, 2)
    assert (store.get(b"a"), len(store), store.last) == (None, 1, 2)


PIECE, OTHER_PIECE = b"\x00\x01\x00\x00\x00\x00\x00a", b"\x00\x01\x01\x00\x00\x00\x03b"


def entry(mark: bytes, bound: int) -> bytes:
    return piece_of({mark * 8: bound})


def test_pieces_are_kept_beside_customers_and_are_none(open_store: Callable[[], Store]) -> None:
    store = open_store()
    store.put({PIECE: b"1", OTHER_PIECE: b"2", b"a": b"3", b"b": b"4"}, 3)
    store.put({PIECE: b"5", b"b": None}, 5)
    assert (len(store), store.get(PIECE), dict(store.items())) == (1, b"5", {b"a": b"3"})
    assert dict(store.pieces()) == {PIECE: b"5", OTHER_PIECE: b"2"}
    store.put({PIECE: None, OTHER_PIECE: None, b"\x00\x01\x00\x00\x00\x00\x00unknown": None}, 6)
    assert (len(store), store.get(PIECE), list(store.pieces())) == (1, None, [])


def test_pieces_on_disk_come_back(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.put({PIECE: b"1", b"a": b"3"}, 3)
    store.close()
    again = on_disk(tmp_path)
    assert (len(again), dict(again.pieces()), again.last) == (1, {PIECE: b"1"}, 3)
    again.drop()
    assert list(again.pieces()) == []
    again.close()


@pytest.mark.parametrize("apart", [False, True], ids=["in one slice", "in two slices"])
@pytest.mark.parametrize(
    ("first", "second", "superseded"),
    [
        (entry(b"a", 1), entry(b"a", 1) + entry(b"b", 2), False),
        (entry(b"a", 1) + entry(b"b", 2), entry(b"a", 1), True),
        (entry(b"a", 1), entry(b"b", 2), True),
        (entry(b"b", 2) + entry(b"a", 3), entry(b"a", 1) + entry(b"b", 2), False),
    ],
    ids=["more", "less", "other", "earlier"],
)
def test_of_two_versions_of_a_piece_what_either_holds_stays(
    open_store: Callable[[], Store], first: bytes, second: bytes, superseded: bool, apart: bool
) -> None:
    partition = Partition(open_store())
    records = [Logged(0, PIECE, first), Logged(1, PIECE, second)]
    for part in [records[:1], records[1:]] if apart else [records]:
        partition.replay(part)
    held = dict(entries(partition.store.get(PIECE) or b""))
    assert held.keys() == dict(entries(first + second)).keys()
    assert partition.superseded == ({PIECE} if superseded else set())


@pytest.mark.parametrize("key", [b"\x00", b"\x00superseded", b"\x00\x01\x00\x00\x00\x00\x00", PIECE])
def test_what_somebody_else_writes_under_a_key_that_is_nobodys_changes_nothing(
    open_store: Callable[[], Store], key: bytes
) -> None:
    store = open_store()
    store.put({b"a": state("a", purchases=1)}, 0)
    Partition(store).replay([Logged(1, key, b"somebody else's")])
    assert (store.last, len(store), list(store.pieces()), store.superseded) == (1, 1, [], set())


def test_a_dropped_store_is_empty_and_usable(open_store: Callable[[], Store]) -> None:
    store = open_store()
    store.put({b"a": b"1"}, 1)
    store.drop()
    assert (store.get(b"a"), len(store), store.last) == (None, 0, -1)
    store.put({b"b": b"1"}, 0)
    assert len(store) == 1


def test_states_on_disk_come_back_with_their_offset(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.put({b"%d" % n: b"x" * 100 for n in range(5_000)}, 41)
    store.close()
    again = on_disk(tmp_path)
    assert (again.last, len(again), again.get(b"77")) == (41, 5_000, b"x" * 100)
    again.close()


def test_files_of_another_topic_are_built_again(tmp_path: Path) -> None:
    store = on_disk(tmp_path, "other")
    store.put({b"a": b"1"}, 1)
    store.close()
    again = on_disk(tmp_path)
    assert (again.last, again.get(b"a")) == (-1, None)
    again.close()


@pytest.mark.parametrize(
    ("topic_id", "end", "last"),
    [("a", 9, 7), ("a", 8, 7), ("b", 9, -1), ("a", 7, -1), ("a", 0, -1)],
    ids=["the same", "at its end", "made again under its name", "without its last record", "without any record"],
)
def test_files_that_have_outlived_what_they_mirror_are_built_again(
    tmp_path: Path, topic_id: str, end: int, last: int
) -> None:
    settings = Settings(data_dir=str(tmp_path), store="disk")
    store = open_store_of(settings, 0, topic_id="a", end_of=lambda _partition: 8)
    store.put({b"a": b"1"}, 7)
    store.close()
    again = open_store_of(settings, 0, topic_id=topic_id, end_of=lambda _partition: end)
    assert (again.last, again.get(b"a")) == (last, b"1" if last >= 0 else None)
    again.close()


def test_files_of_a_version_that_knew_a_topic_by_its_name_alone_are_built_again(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), store="disk")
    store = open_store_of(settings, 0)
    store.put({b"a": b"1"}, 7)
    store.close()
    again = open_store_of(settings, 0, topic_id="a")
    assert again.last == -1
    again.close()


@pytest.mark.parametrize("damage", ["manifest", "garbage", "foreign"])
def test_damaged_files_are_built_again(tmp_path: Path, damage: str) -> None:
    store = on_disk(tmp_path)
    store.put({b"a": b"1"}, 1)
    store.close()
    folder = tmp_path / "states-0"
    if damage == "manifest":
        next(folder.glob("MANIFEST-*")).write_bytes(b"\x00" * 64)
    elif damage == "garbage":
        (folder / "CURRENT").write_bytes(b"nonsense")
    else:
        for file in folder.iterdir():
            file.unlink()
        (folder / "CURRENT").write_text("a file of somebody else\n")
    again = on_disk(tmp_path)
    assert (again.last, again.get(b"a")) == (-1, None)
    again.put({b"a": b"2"}, 5)
    assert again.get(b"a") == b"2"
    again.close()


def test_a_damaged_block_ends_the_worker_and_the_next_start_builds_it_again(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.put({b"%06d" % n: b"%d" % n * 50 for n in range(20_000)}, 1)
    store.close()
    table = max((tmp_path / "states-0").glob("*.sst"), key=lambda file: file.stat().st_size)
    content = bytearray(table.read_bytes())
    for at in range(2_000, len(content) // 2):
        content[at] ^= 0x5A
    table.write_bytes(content)
    broken = on_disk(tmp_path)
    with pytest.raises(Transient, match="damaged"):
        list(map(broken.get, (b"%06d" % n for n in range(20_000))))
    broken.close()
    again = on_disk(tmp_path)
    assert (again.last, len(again)) == (-1, 0)
    again.close()


def test_two_workers_on_the_same_files_are_refused_and_nothing_is_removed(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    store.put({b"a": b"1"}, 1)
    with pytest.raises(Refused, match="LOYALTY_INSTANCE"):
        on_disk(tmp_path)
    assert store.get(b"a") == b"1"
    store.close()


def test_replay_skips_what_is_in_the_store(open_store: Callable[[], Store]) -> None:
    partition = Partition(open_store())
    partition.replay([Logged(0, b"a", state("a", purchases=1)), Logged(1, b"a", state("a", purchases=2))])
    partition.replay([Logged(1, b"a", state("a", purchases=9)), Logged(2, b"b", state("b", purchases=1))])
    known = [partition.read(key) for key in (b"a", b"b")]
    assert [customer and customer.applied for customer in known] == [{"purchases": 2}, {"purchases": 1}]
    assert partition.store.last == 2


ZOMBIES = {
    "an older state after a newer one": (state("a", purchases=5, surveys=2), state("a", purchases=4, surveys=2)),
    "a state that misses a topic": (state("a", purchases=5, surveys=2), state("a", purchases=5)),
    "bytes that are no state": (state("a", purchases=5), b"\xff\x00"),
}


@pytest.mark.parametrize("apart", [False, True], ids=["in one slice", "in two slices"])
@pytest.mark.parametrize(("good", "bad"), ZOMBIES.values(), ids=ZOMBIES)
def test_of_two_states_the_one_with_more_applied_stays(
    open_store: Callable[[], Store], good: bytes, bad: bytes, apart: bool
) -> None:
    partition = Partition(open_store())
    records = [Logged(0, b"a", good), Logged(1, b"a", bad)]
    for part in [records[:1], records[1:]] if apart else [records]:
        partition.replay(part)
    assert partition.store.get(b"a") == good
    assert partition.superseded == {b"a"}
    assert partition.store.last == 1


def test_what_is_to_be_written_again_is_known_until_it_was_also_on_disk(tmp_path: Path) -> None:
    good, old = state("a", purchases=5), state("a", purchases=4)
    partition = Partition(on_disk(tmp_path))
    partition.replay([Logged(0, b"a", good), Logged(1, b"a", old)])
    partition.store.close()
    partition = Partition(on_disk(tmp_path))
    assert (partition.superseded, len(partition.store)) == ({b"a"}, 1)
    partition.written_again({b"a": good}, 2)
    partition.store.close()
    partition = Partition(on_disk(tmp_path))
    assert (partition.superseded, partition.store.last) == (set(), 2)
    partition.store.close()


@pytest.mark.parametrize("after", [state("a", purchases=6), None], ids=["a newer state", "an erasure"])
@pytest.mark.parametrize("apart", [False, True], ids=["in one slice", "in two slices"])
def test_what_is_right_again_in_the_log_is_not_written_again(
    open_store: Callable[[], Store], after: bytes | None, apart: bool
) -> None:
    partition = Partition(open_store())
    records = [Logged(n, b"a", v) for n, v in enumerate([state("a", purchases=5), state("a", purchases=4), after])]
    for part in [records[:2], records[2:]] if apart else [records]:
        partition.replay(part)
    assert (partition.store.get(b"a"), partition.superseded) == (after, set())


def test_a_newer_state_replaces_an_older_one_and_bytes_that_are_none() -> None:
    for before in (state("a", purchases=1), b"\xff"):
        partition = Partition(MemoryStore())
        after = state("a", purchases=2, surveys=0)
        partition.replay([Logged(0, b"a", before), Logged(1, b"a", after), Logged(2, None, b"x")])
        assert partition.store.get(b"a") == after
        assert not partition.superseded


def test_a_state_of_another_version_stops_the_worker_and_a_broken_one_costs_its_customer() -> None:
    partition = Partition(MemoryStore())
    other = encode_state(Customer(customer_id="a", version=99))
    partition.replay([Logged(0, b"a", other), Logged(1, b"b", b"\xff"), Logged(2, b"c", b"\x81\xa7version\x01")])
    for key in (b"a", b"c"):
        with pytest.raises(Refused, match="loyalty rebuild"):
            partition.read(key)
    with pytest.raises(BadEvent):
        partition.read(b"b")
