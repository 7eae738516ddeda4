"""Record batches as aiokafka reads them, but for one thing: a header's name that is not UTF-8 costs nothing.

aiokafka raises at such a record, and would at every start; Kafka takes the name as bytes and asks nobody. A batch that
cannot be read for that is read again, with the bytes of the name that are not UTF-8 spelled out (``\\xff``).
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH = struct.Struct(">i")
_LENGTH_AT, _OVERHEAD = 8, 12


class _Spelled(bytearray):
    """Bytes whose text is never refused."""

    def __getitem__(self, place: Any) -> Any:
        piece = super().__getitem__(place)
        return _Spelled(piece) if isinstance(place, slice) else piece

    def decode(self, *_: Any) -> str:
        """UTF-8; what is not is spelled out."""
        return super().decode("utf-8", "backslashreplace")


class _Batch:
    """A batch; everything but iteration is aiokafka's."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):  # the latter from aiokafka without its extensions
            again = iter(_DefaultRecordBatchPy(self._raw))
            again._buffer = _Spelled(again._buffer)
            return iter(again)


class Records:
    """The batches of one fetch from one partition."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._records = MemoryRecords(data)
        self.has_next, self.size_in_bytes = self._records.has_next, self._records.size_in_bytes

    def next_batch(self) -> Any:
        """The next batch, ``None`` behind the last."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        first = self._at
        self._at += _OVERHEAD + _LENGTH.unpack_from(self._data, first + _LENGTH_AT)[0]
        return _Batch(batch, memoryview(self._data)[first : self._at])


class Fetched(NamedTuple):
    """A record of a fetch: what of aiokafka's ``ConsumerRecord`` is asked for. That one takes four times as long."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def _fetched(_fetch: Any, _place: Any, record: Any) -> Fetched:
    """In place of aiokafka's ``PartitionRecords._consumer_record``; past the constructor, which is interpreted."""
    fields = (record.offset, record.timestamp, record.timestamp_type, record.key, record.value, tuple(record.headers))
    return tuple.__new__(Fetched, fields)


def install() -> None:
    """Have aiokafka's fetcher read batches and hand out records this way; it offers no other place for it."""
    fetcher.MemoryRecords = Records
    fetcher.PartitionRecords._consumer_record = _fetched
