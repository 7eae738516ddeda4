"""Marks of the events that a customer's state has counted: a repeated event counts once, however long ago.

An event is its topic and its id. Of each, 64 bits are kept: a *mark*, which begins with the code of the topic. The
newest marks stand in the state. When there are :data:`RECENT_IDS`, the older half moves out into *pieces*: records of
their own in the state's changelog, in the partition of their customer. Who has fewer events has no piece and pays
nothing.

A piece holds the marks of one bucket of one generation. Generation ``g`` has ``4**g`` buckets of about
:data:`BUCKET_MARKS`; how many marks have moved says which generation is being filled, a full one is not touched again.
To look for a mark is to read one bucket of each generation: five of them for 100,000 events.

Why pieces may be ahead of the state
------------------------------------
Pieces are in the log before the state that no longer holds their marks. After a crash between the two there are marks
of events that the state has not counted; taking them for counted would lose those events. So each mark in a piece has
a *bound*: the offset in its topic up to which the state had applied records when the mark moved, plus one. A record at
the offset ``o`` is a duplicate if its mark stands in the state, or in a piece with a bound of at most ``o``:

- A bound ``b`` says that a record of that topic with that id lies before ``b``, in the same partition. That is true for
  ever, whatever became of the state that wrote it. So at ``b <= o`` an earlier record exists: this one is a duplicate.
- What this state has counted and moved was applied before ``o`` is, and its bound is at most ``o``: it is found.
- A record that is read again after a crash does not find itself: it had been applied when its mark moved, so its bound
  is larger than its own offset.
- What a lost state wrote has a larger bound, which hides nothing, and the smaller one of this state takes its place; or
  a smaller one, which is true as well.

Therefore pieces need no order among each other: two versions of one are merged, and of two bounds the smaller holds.

Marks of before 0.5 have no topic. They are 64 bits of the id alone, known by ``Customer.moved`` being a complement, and
have the bound 0: the state that brought them had counted them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from pipeline.core.contract.events import Event
from pipeline.core.state.customer import MARK_BYTES, RECENT_IDS, Customer

TOPIC_OF: Final[dict[int, str]] = {1: "purchases", 2: "service-contacts", 3: "surveys", 4: "alert-outcomes"}
"""The topic of each code that a mark begins with; a code is never given to another topic."""

BUCKET_MARKS: Final = 256
"""About how many marks a full piece holds."""
_RECENT_BYTES: Final = RECENT_IDS * MARK_BYTES
_STAYING_BYTES: Final = RECENT_IDS // 2 * MARK_BYTES
_HASH_BYTES: Final = MARK_BYTES - 1
_BOUND_BYTES: Final = 8
_ENTRY_BYTES: Final = MARK_BYTES + _BOUND_BYTES

OWN: Final = b"\x00"
"""What keys that are no customer's begin with: no id begins with a control character."""
_HEAD: Final = OWN + b"\x01"
"""What a piece's key begins with; the second byte is the version of the form. Generation (1 byte), bucket (4) and the
customer's id follow."""
_HEAD_BYTES: Final = 7
_MOST_GENERATIONS: Final = 15


def mark(event: Event) -> bytes:
    """What is kept of an event: the code of its topic and 56 bits of its id."""
    return event.topic_code + blake2b(event.event_id.encode(), digest_size=_HASH_BYTES).digest()


def _mark_without_topic(event: Event) -> bytes:
    """The mark of an event before 0.5."""
    return blake2b(event.event_id.encode(), digest_size=MARK_BYTES).digest()


def is_recent(marked: bytes, recent: bytes) -> bool:
    """Whether a mark is among the recent ones; bytes that only look like it across two marks do not count."""
    place = recent.find(marked)
    while place >= 0 and place % MARK_BYTES:
        place = recent.find(marked, place + 1)
    return place >= 0


def moved_of(customer: Customer) -> int:
    """How many marks of a customer have moved out of their state."""
    return customer.moved if customer.moved >= 0 else ~customer.moved


class Older:
    """The marks that have moved out of states, and where those go that do.

    ``read`` hands out a piece by its key, as it was before; what has changed since is in ``changed``. Of several
    customers, or of one alone in memory, as the caller likes.
    """

    def __init__(self, read: Callable[[bytes], bytes | None] | None = None) -> None:
        self._read = read
        self.changed: dict[bytes, bytes] = {}

    def _piece(self, key: bytes) -> bytes:
        piece = self.changed.get(key)
        if piece is None and self._read is not None:
            piece = self._read(key)
        return piece or b""

    def bound(self, customer: Customer, marked: bytes) -> int:
        """The least bound of a mark in a customer's pieces, -1 when it is in none."""
        least = -1
        name = customer.customer_id.encode()
        for generation in range(_generations(moved_of(customer))):
            piece = self._piece(_key(generation, marked, name))
            at = _find(marked, piece)
            if at >= 0 and (least < 0 or _bound_at(piece, at) < least):
                least = _bound_at(piece, at)
        return least

    def take(self, customer: Customer) -> None:
        """Move the older marks of a customer, who is the caller's own, out of their state."""
        recent = customer.recent
        leaving = recent[:-_STAYING_BYTES]
        name = customer.customer_id.encode()
        count = moved_of(customer)
        for at in range(0, len(leaving), MARK_BYTES):
            marked = leaving[at : at + MARK_BYTES]
            topic = TOPIC_OF.get(marked[0])
            bound = customer.applied.get(topic, -1) + 1 if topic is not None else 0
            count += 1
            self._add(_key(_generations(count) - 1, marked, name), marked, bound)
        customer.moved = count if customer.moved >= 0 else ~count
        customer.recent = recent[-_STAYING_BYTES:]

    def _add(self, key: bytes, marked: bytes, bound: int) -> None:
        piece = self._piece(key)
        at = _find(marked, piece)
        entry = marked + bound.to_bytes(_BOUND_BYTES, "big")
        if at < 0:
            self.changed[key] = piece + entry
        elif bound < _bound_at(piece, at):
            self.changed[key] = piece[:at] + entry + piece[at + _ENTRY_BYTES :]


def was_moved(customer: Customer, event: Event, marked: bytes, offset: int, older: Older | None) -> bool:
    """Whether an event whose mark is not among the recent ones was counted; asked where ``customer.moved`` is not 0."""
    if older is not None and 0 <= older.bound(customer, marked) <= offset:
        return True
    if customer.moved > 0 or not customer.events:
        return False
    untold = _mark_without_topic(event)
    return is_recent(untold, customer.recent) or (older is not None and older.bound(customer, untold) >= 0)


def remember(customer: Customer, marked: bytes, older: Older | None) -> None:
    """Note an event that was counted. Without ``older`` every mark stays with the customer, who is then unbounded."""
    recent = customer.recent
    if not recent and customer.moved == -1:
        customer.moved = 0
    customer.recent = recent = recent + marked
    if older is not None and len(recent) >= _RECENT_BYTES:
        older.take(customer)


def is_piece(key: bytes) -> bool:
    """Whether a key of the changelog is that of a piece."""
    return key.startswith(_HEAD) and len(key) > _HEAD_BYTES and key[2] <= _MOST_GENERATIONS


def customer_of(key: bytes) -> bytes:
    """The customer of a piece."""
    return key[_HEAD_BYTES:]


def is_readable(piece: bytes) -> bool:
    """Whether a value can be a piece."""
    return len(piece) % _ENTRY_BYTES == 0


def entries(piece: bytes) -> Iterator[tuple[bytes, int]]:
    """The marks of a piece, each with its bound."""
    for at in range(0, len(piece), _ENTRY_BYTES):
        yield piece[at : at + MARK_BYTES], _bound_at(piece, at)


def merged(one: bytes, other: bytes) -> bytes:
    """Two versions of a piece as one; exactly ``other`` where that holds everything ``one`` does."""
    if other.startswith(one):
        return other
    least = dict(entries(other))
    for marked, bound in entries(one):
        least[marked] = min(bound, least.get(marked, bound))
    return piece_of(least)


def piece_of(bounds: Mapping[bytes, int]) -> bytes:
    """A piece with these marks, each with its bound."""
    return b"".join([marked + bound.to_bytes(_BOUND_BYTES, "big") for marked, bound in bounds.items()])


class Marks(NamedTuple):
    """Everything a customer's state and pieces know to be counted, in no order."""

    marks: set[bytes]
    with_topics: bool


def marks_of(customer: Customer, pieces: Iterable[bytes]) -> Marks:
    """The marks in a customer's state and in their ``pieces``."""
    recent = customer.recent
    counted = {recent[at : at + MARK_BYTES] for at in range(0, len(recent), MARK_BYTES)}
    for piece in pieces:
        counted.update(marked for marked, _ in entries(piece))
    return Marks(counted, customer.moved >= 0)


def _find(marked: bytes, piece: bytes) -> int:
    at = piece.find(marked)
    while at >= 0 and at % _ENTRY_BYTES:
        at = piece.find(marked, at + 1)
    return at


def _bound_at(piece: bytes, at: int) -> int:
    return int.from_bytes(piece[at + MARK_BYTES : at + _ENTRY_BYTES], "big")


def _generations(count: int) -> int:
    """How many generations ``count`` marks fill, or have begun."""
    generations, room = 0, 0
    while room < count:
        room += BUCKET_MARKS * _buckets(generations)
        generations += 1
    return generations


def _buckets(generation: int) -> int:
    return 1 << 2 * generation


def _key(generation: int, marked: bytes, name: bytes) -> bytes:
    bucket = int.from_bytes(marked[-4:], "big") % _buckets(generation)
    return _HEAD + bytes((generation,)) + bucket.to_bytes(4, "big") + name
