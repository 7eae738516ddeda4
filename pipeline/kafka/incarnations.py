"""Which topic a name stands for: one that was deleted and made again has its old name, another id, and new offsets.

States, alerts, dead letters and rows know records by their offsets, and these begin again in a topic that was made
again. So every id that a topic ever had is its next *incarnation*, and what we call an offset everywhere but towards
the broker is the broker's plus :data:`SPAN` for each incarnation before: it grows on, and no old record is taken for a
new one. Commits hold the broker's.

Rules
-----
- The ids stand in the list that every process reads (:mod:`pipeline.erasure.suppression_list`, partition 0), one record
  for each; of two that claim the same number the first in the log counts. Nothing is taken out.
- The first id is remembered by itself; a later one only when an operator accepts it (:mod:`pipeline.continuity`).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

SPAN = 2**40
"""How far the offsets of two incarnations are apart: more records than a partition ever holds."""
Bases = Mapping[str, int]
"""The number added to the broker's offsets of a topic, by its logical name; topics without an entry: 0."""

_KEY = re.compile(rb"topic/([a-z-]+)/(\d{1,6})/([A-Za-z0-9+/_-]{1,40})")


class Incarnation(NamedTuple):
    """One id of a topic, and how many it had before."""

    number: int
    id: str

    @property
    def base(self) -> int:
        """The number added to the broker's offsets."""
        return self.number * SPAN


def shifted(ends: Mapping[tuple[str, int], int], bases: Bases) -> dict[tuple[str, int], int]:
    """The broker's offsets by topic and partition as ours."""
    return {(topic, partition): end + bases.get(topic, 0) for (topic, partition), end in ends.items()}


def key_of(topic: str, incarnation: Incarnation) -> bytes:
    """The key of the record that remembers an incarnation."""
    return f"topic/{topic}/{incarnation.number}/{incarnation.id}".encode()


def is_ours(key: bytes | None) -> bool:
    """Whether a record of the list is about a topic, and not about a customer."""
    return key is not None and _KEY.fullmatch(key) is not None


class Incarnations:
    """The incarnations of all topics, as far as the list was read."""

    def __init__(self) -> None:
        self._newest: dict[str, Incarnation] = {}

    def note(self, key: bytes | None) -> bool:
        """Take a record of the list, in the order of the log; ``False`` when it is about something else."""
        match = _KEY.fullmatch(key or b"")
        if match is None:
            return False
        topic, one = match[1].decode(), Incarnation(int(match[2]), match[3].decode())
        if topic not in self._newest or one.number > self._newest[topic].number:
            self._newest[topic] = one
        return True

    def newest(self, topic: str) -> Incarnation | None:
        """The incarnation that counts, ``None`` when nothing is remembered of a topic."""
        return self._newest.get(topic)

    def bases(self) -> dict[str, int]:
        """The number added to the offsets of each topic; only topics that were made again are in it."""
        return {topic: one.base for topic, one in self._newest.items() if one.base}
