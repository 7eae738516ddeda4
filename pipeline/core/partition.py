"""Which partition a key belongs to: Kafka's own rule, so that a foreign producer can be told from ours."""

from struct import Struct
from typing import Final

_HIGH: Final = 0x5BD1
_LOW: Final = 0xE995
"""The halves of the hash's factor: products with them stay below 2^48, and so machine integers when compiled."""
_MASK: Final = 0xFFFFFFFF
_words = Struct("<I").iter_unpack


def murmur2(key: bytes) -> int:
    """The 32-bit MurmurHash2 that Kafka's default partitioner uses (seed ``0x9747b28c``)."""
    length = len(key)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for (word,) in _words(key[:whole]):
        k = _times(word)
        h = _times(h) ^ _times(k ^ (k >> 24))
    if length & 3:
        h = _times(h ^ int.from_bytes(key[whole:], "little"))
    h = _times(h ^ (h >> 13))
    return h ^ (h >> 15)


def _times(number: int) -> int:
    return (number * _LOW + ((number * _HIGH & 0xFFFF) << 16)) & _MASK


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` in a topic of ``partitions``, as Java's and our own producers choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
