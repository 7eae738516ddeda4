"""Computes the partition of a key by Kafka's own rule, to recognise producers that use another one."""

from struct import Struct
from typing import Final

_FACTOR: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_words = Struct("<I").iter_unpack


def murmur2(key: bytes) -> int:
    """The 32-bit MurmurHash2 that Kafka's default partitioner uses (seed ``0x9747b28c``)."""
    length = len(key)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for (word,) in _words(key[:whole]):
        k = word * _FACTOR & _MASK
        h = ((h * _FACTOR) ^ ((k ^ (k >> 24)) * _FACTOR)) & _MASK
    if length & 3:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _FACTOR & _MASK
    h = (h ^ (h >> 13)) * _FACTOR & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` in a topic of ``partitions``, as Java's and our own producers choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
