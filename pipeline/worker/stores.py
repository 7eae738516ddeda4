"""Where a partition's encoded states are kept: in memory, or on disk when there are more than memory holds.

A store is a copy of one partition of ``customer-states`` up to an offset, which it keeps together with the values. What
it has lost, the changelog gives back. Beside customers it holds pieces (:mod:`pipeline.core.state.marks`), which are
put and got by their keys in the same way, but neither counted nor listed as customers.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from pipeline.config import Settings
from pipeline.core.state.marks import OWN, is_piece
from pipeline.errors import Refused, Transient
from pipeline.extras import remedy
from pipeline.topics import STATES

Values = Mapping[bytes, bytes | None]
"""Encoded states by customer, and pieces by their keys; ``None`` is an erasure."""


class Store(Protocol):
    """One partition's encoded states."""

    last: int
    """The last offset of the changelog that is in it; -1 for none."""
    superseded: set[bytes]
    """Keys behind whose value an old one lies in the changelog. Kept with the next ``put``."""
    unscrubbed: bool
    """Something was erased, by whomever, whose bytes may be on disk until ``scrub``."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, values: Values, last: int) -> None: ...

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every customer with the encoded state; nothing may be put meanwhile."""
        ...

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """Every piece with its key; nothing may be put meanwhile."""
        ...

    def __len__(self) -> int:
        """How many customers there are."""
        ...

    def close(self) -> None: ...

    def scrub(self) -> None:
        """Leave no byte of what was erased, on disk neither; may take seconds."""

    def drop(self) -> None:
        """Forget everything, on disk too."""


class MemoryStore:
    """States in a dictionary."""

    unscrubbed = False

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._pieces: set[bytes] = set()
        self.last = -1
        self.superseded: set[bytes] = set()
        self.get = self._values.get

    def put(self, values: Values, last: int) -> None:
        """Take values that are in the changelog up to ``last``."""
        self._pieces.update(key for key in values if key.startswith(OWN))
        self._values.update(values)  # type: ignore[arg-type]
        if None in values.values():
            for key in [key for key, value in values.items() if value is None]:
                del self._values[key]
                self._pieces.discard(key)
        self.last = last

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every customer with the encoded state."""
        return (item for item in self._values.items() if not item[0].startswith(OWN))

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """Every piece with its key."""
        return ((key, self._values[key]) for key in self._pieces)

    def __len__(self) -> int:
        return len(self._values) - len(self._pieces)

    def scrub(self) -> None:
        """Memory keeps nothing of it."""

    def close(self) -> None:
        """Nothing to close."""

    def drop(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._pieces.clear()
        self.superseded.clear()
        self.last = -1


DAMAGED = "DAMAGED"
"""The file that says that the others cannot be read."""
_META = OWN
"""The key of the store's own record; no piece has it, nor that of ``_SUPERSEDED``."""
_SUPERSEDED = b"\x00superseded"
"""The key of its record of ``Store.superseded``."""
_UNSCRUBBED = b"\x00unscrubbed"
"""The key of its record that something was erased and may still be in the files."""
_NONE = msgspec.msgpack.encode([])


class DiskStore:
    """States in RocksDB. Values and the offset they stand for are written together, so both survive or neither does.

    The write-ahead log is off: what was not flushed when the process was killed is read from the changelog again.
    """

    def __init__(self, path: Path, identity: str, cache_bytes: int) -> None:
        try:
            import rocksdict  # noqa: PLC0415 - only who keeps states on disk needs it
        except ImportError:
            raise Refused(f"LOYALTY_STORE=disk needs rocksdict; {remedy('disk')}") from None
        self._rocks: Any = rocksdict
        self._path, self._identity, self._cache_bytes = path, identity.encode(), cache_bytes
        self.superseded: set[bytes] = set()
        self.unscrubbed = False
        self._open_or_rebuild()

    def _open_or_rebuild(self) -> None:
        """Open what is there; what is damaged or belongs to another topic is removed and built again."""
        try:
            if (self._path / DAMAGED).exists():
                raise ValueError("a block could not be read")
            self._open()
            identity, last, count = self._read_meta()
            superseded = msgspec.msgpack.decode(self._db.get(_SUPERSEDED) or _NONE, type=set[bytes])
            self.unscrubbed = self._db.get(_UNSCRUBBED) is not None
        except Exception as damaged:  # RocksDB raises bare exceptions
            if re.search(r"\block (file|hold)", str(damaged)):
                raise Refused(
                    f"the local state in {self._path} is in use by another worker; give each its own LOYALTY_INSTANCE"
                ) from None
            self.rebuild(f"damaged: {damaged}")
        else:
            if identity not in (b"", self._identity):
                self.rebuild("of another topic")
            else:
                self.last, self._count, self.superseded = last, count, superseded

    def rebuild(self, why: str) -> None:
        """Forget everything, and say why: the changelog gives it back."""
        structlog.get_logger().warning("local state is rebuilt from the changelog", path=str(self._path), why=why[:200])
        self.drop()

    def _open(self) -> None:
        rocks = self._rocks
        self._path.parent.mkdir(parents=True, exist_ok=True)
        options = rocks.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(16 * 1024 * 1024)
        options.set_max_write_buffer_number(2)
        options.set_max_open_files(256)
        options.set_compression_type(rocks.DBCompressionType.lz4())
        blocks = rocks.BlockBasedOptions()
        blocks.set_block_cache(rocks.Cache(self._cache_bytes))
        blocks.set_bloom_filter(10, block_based=False)
        blocks.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(blocks)
        self._db = rocks.Rdict(str(self._path), options)
        self._unlogged = rocks.WriteOptions()
        self._unlogged.disable_wal = True

    def _read_meta(self) -> tuple[bytes, int, int]:
        meta = self._db.get(_META)
        if meta is None:
            if next(iter(self._db.keys()), None) is not None:
                raise ValueError("it does not say which topic it belongs to")
            return b"", -1, 0
        identity, last, count = meta.rsplit(b"|", 2)
        return identity, int(last), int(count)

    def get(self, key: bytes) -> bytes | None:
        """A customer's encoded state.

        Raises
        ------
        Transient
            A file is damaged; the next start builds it again.
        """
        try:
            return self._db.get(key)  # type: ignore[no-any-return]
        except Exception as damaged:  # RocksDB raises bare exceptions
            (self._path / DAMAGED).touch()
            raise Transient(f"the local state in {self._path} is damaged and will be rebuilt: {damaged}") from None

    def put(self, values: Values, last: int) -> None:
        """Take values that are in the changelog up to ``last``."""
        batch = self._rocks.WriteBatch(raw_mode=True)
        for key, value in values.items():
            if key.startswith(OWN):
                batch.delete(key) if value is None else batch.put(key, value)
                continue
            known = bool(self._db.key_may_exist(key)) and self.get(key) is not None
            if value is None:
                batch.delete(key)
                self._count -= known
            else:
                batch.put(key, value)
                self._count += not known
        if None in values.values():
            batch.put(_UNSCRUBBED, b"")
            self.unscrubbed = True
        batch.put(_SUPERSEDED, msgspec.msgpack.encode(self.superseded))
        batch.put(_META, b"%b|%d|%d" % (self._identity, last, self._count))
        self._db.write(batch, self._unlogged)
        self.last = last

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every customer with the encoded state, in the order of their ids."""
        return ((key, value) for key, value in self._db.items() if not key.startswith(OWN))

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """Every piece with its key; they lie in front of all customers."""
        own = takewhile(lambda item: item[0].startswith(OWN), self._db.items())
        return (item for item in own if is_piece(item[0]))

    def __len__(self) -> int:
        return self._count

    def scrub(self) -> None:
        """Write the files again without what was erased: RocksDB only marks it.

        Its list of files names the first and the last key of each; it is written again when the store is opened.
        """
        options = self._rocks.CompactOptions()
        options.set_bottommost_level_compaction(self._rocks.BottommostLevelCompaction.force())
        self._db.flush()
        self._db.compact_range(None, None, options)
        self._db.delete(_UNSCRUBBED, self._unlogged)
        self.unscrubbed = False
        self._db.close()
        self._open()

    def close(self) -> None:
        """Write what is in memory to disk and let go of the files."""
        self._db.flush()
        self._db.close()

    def drop(self) -> None:
        """Forget everything and begin again."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._path.exists():
            shutil.rmtree(self._path)
        self.last, self._count, self.unscrubbed = -1, 0, False
        self.superseded.clear()
        self._open()


def open_store(
    settings: Settings,
    partition: int,
    place: str = "state",
    topic_id: str = "",
    end_of: Callable[[int], int] | None = None,
) -> Store:
    """The store of a partition, as the settings say; one on disk lies in the folder ``place`` of the data directory.

    It is a copy of the topic ``topic_id``, not of any other that had its name, and no longer one where it holds more
    than the topic: ``end_of`` says the next offset of a partition there.
    """
    if settings.store == "memory":
        return MemoryStore()
    topic = settings.topic(STATES.name)
    folder = settings.directory / place / settings.group("worker") / (settings.instance or "worker")
    cache = settings.store_cache_mb * 1_000_000 // settings.partitions
    store = DiskStore(folder / f"{topic}-{partition}", f"{topic}/{topic_id}" if topic_id else topic, cache)
    if end_of is not None and store.last >= 0 and store.last >= end_of(partition):
        store.rebuild("ahead of the topic, which has lost its end")
    return store
