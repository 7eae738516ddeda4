"""Record batches with headers whose names are not UTF-8, as some client other than ours may write them."""

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from pipeline.worker.aiokafka_patches import Records

NONE, GZIP = 0, 1
Headers = list[tuple[str, bytes]]


class Name(str):
    """A header's name that is sent as other bytes than its own."""

    def encode(self, *_: str) -> bytes:
        return b"n\xff"


def batch(first: int, headers: list[Headers], codec: int = NONE) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, -1, 1 << 20)
    for number, one in enumerate(headers):
        builder.append(number, timestamp=1_000, key=b"k%d" % number, value=b"v%d" % number, headers=one)
    built = builder.build()
    return first.to_bytes(8, "big") + bytes(built[8:])  # the broker writes the base offset, the checksum is behind it


def read(data: bytes, reader: type = Records) -> list[tuple[int, bytes, bytes, Headers]]:
    records, found = reader(data), []
    while records.has_next():
        taken = records.next_batch()
        assert taken.validate_crc()
        found += [(r.offset, r.key, r.value, list(r.headers)) for r in taken]
        assert taken.next_offset == found[-1][0] + 1
    return found


@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_a_name_that_is_not_utf_8_is_spelled_out_and_its_neighbours_are_read(codec: int) -> None:
    fine: Headers = [("é", b"1")]
    data = batch(7, [fine]) + batch(8, [fine, [(Name("x"), b"2"), *fine], []], codec) + batch(11, [fine])
    assert read(data) == [
        (7, b"k0", b"v0", fine),
        (8, b"k0", b"v0", fine),
        (9, b"k1", b"v1", [(r"n\xff", b"2"), *fine]),
        (10, b"k2", b"v2", []),
        (11, b"k0", b"v0", fine),
    ]


def test_everything_else_is_read_as_aiokafka_reads_it() -> None:
    data = batch(0, [[], [("a", b"")]]) + batch(2, [[("b", b"3")]], GZIP)
    assert read(data) == read(data, MemoryRecords)
    assert read(data + data[:30]) == read(data), "a batch that was cut off is fetched again"
    assert Records(data[:30]).has_next() is False
    assert Records(data[:30]).next_batch() is None
    assert Records(data).size_in_bytes() == len(data)
