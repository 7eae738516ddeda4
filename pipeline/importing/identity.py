"""Event ids for files that have none.

The id is made of the content of the row, and of its number among the rows with the same content. So two identical rows
stay two events, the same file gives the same ids again, and rows may be sorted again.

Counting how often every content came would take memory without a bound. A first pass over the file therefore only
marks contents in a table of bits (a Bloom filter); those that may have come before are counted in the second pass. Some
of them came only once, which changes no id: they are counted for nothing.
"""

import math
from hashlib import blake2b
from typing import Any

import orjson

from pipeline.errors import BadEvent, Reason

BITS = 4
"""How many bits stand for a content."""
SMALLEST, LARGEST = 1 << 16, 1 << 28
"""Bytes of the table: 2 for each 64 bytes of a file, at most 256 MiB."""


def content_key(content: Any) -> bytes:
    """128 bits that stand for values of JSON; the order of an object's names does not matter.

    Raises
    ------
    BadEvent
        It is nested too deep to be written.
    """
    try:
        whole = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise BadEvent(Reason.TOO_DEEP, "a value is nested too deep") from None
    return blake2b(whole, digest_size=16, person=b"loyalty-import").digest()


class Repeats:
    """Contents that may come more than once: marked in a first pass, counted in a second."""

    def __init__(self, file_bytes: int) -> None:
        size = min(LARGEST, max(SMALLEST, 1 << math.ceil(math.log2(max(1, file_bytes // 32)))))
        self._bits = bytearray(size)
        self._mask = size * 8 - 1
        self._counts: dict[bytes, int] = {}

    def mark(self, key: bytes) -> bool:
        """First pass: whether a content may have come before."""
        bits, known = self._bits, True
        for start in range(0, 4 * BITS, 4):
            place = int.from_bytes(key[start : start + 4], "little") & self._mask
            byte, bit = place >> 3, 1 << (place & 7)
            if not bits[byte] & bit:
                bits[byte] |= bit
                known = False
        if known:
            self._counts[key] = 0
        return known

    def first(self, key: bytes) -> int:
        """First pass: mark a content; how often it came before is not known yet."""
        self.mark(key)
        return 0

    def second_pass(self) -> None:
        """What was marked is known; the table is not needed any more."""
        self._bits = bytearray(1)
        self._mask = 7

    def occurrence(self, key: bytes) -> int:
        """Second pass: how many rows with the same content came before."""
        before = self._counts.get(key)
        if before is None:
            return 0
        self._counts[key] = before + 1
        return before
