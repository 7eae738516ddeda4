"""Reads dead letters, and sends them again once the cause is gone."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.state.suppression import names_suppressed
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import BadEvent, NotFound
from pipeline.kafka.dead_letters import errors_of
from pipeline.topics import BY_NAME, DEAD_LETTERS, ERROR_HEADERS, INPUTS

REPLAYED = "__loyalty.replayed_from"
SHOWN_BYTES = 2_000
MOST_WAITING_KB = 64 * 1024
"""So much may wait for the broker at a time, however much is to be sent again."""
FLUSH_SECONDS = 120.0
SILENCE_SECONDS = 10.0


class StoredLetter(NamedTuple):
    """A dead letter: its id (partition-offset in ``dead-letters``), what went wrong, and the record as it was."""

    identity: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    received_at: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    @property
    def place(self) -> tuple[str, int, int]:
        """Which record it is about: the identity of a letter; one that does not say stands for itself alone."""
        if self.offset < 0:
            partition, _, offset = self.identity.partition("-")
            return "", int(partition), int(offset)
        return self.topic, self.partition, self.offset

    def as_data(self) -> dict[str, Any]:
        """For a program; bytes that are no UTF-8 show as escapes."""
        return {
            "id": self.identity,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "detail": self.detail,
            "received_at": self.received_at,
            "key": _text(self.key),
            "bytes": len(self.value or b""),
            "value": _text(self.value),
        }


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:SHOWN_BYTES].decode(errors="backslashreplace")


def read(settings: Settings) -> Iterator[StoredLetter]:
    """Every dead letter in the topic, partition by partition, oldest first."""
    ranges = kafka.whole_ranges(settings, [DEAD_LETTERS])
    with kafka.reading(settings, "letters", settings.group("letters")) as reader:
        for place, range_ in ranges.items():
            yield from map(
                _letter, kafka.read_ranges(reader, {place: range_}, "dead letters were read", SILENCE_SECONDS)
            )


def _letter(message: Any) -> StoredLetter:
    headers = kafka.headers_of(message)
    errors = errors_of(headers)
    received = _number(errors.get("appended_at_ms"), message.timestamp()[1]) / 1000
    return StoredLetter(
        f"{message.partition()}-{message.offset()}",
        errors.get("topic", "?"),
        _number(errors.get("partition"), -1),
        _number(errors.get("offset"), -1),
        errors.get("reason", "?"),
        errors.get("detail", ""),
        datetime.fromtimestamp(received, UTC).isoformat(timespec="seconds"),
        message.key(),
        message.value(),
        [(k, v) for k, v in headers if not k.startswith(ERROR_HEADERS)],
    )


def _number(text: str | None, otherwise: int) -> int:
    """A number from a header that anyone could have written."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,15}", text) and int(text) < 253_000_000_000_000 else otherwise


Successors = Mapping[str, Collection[bytes]]
"""Ids of letters that were sent again, with what came back as a letter: digests of the values."""


def successors(letters: Iterable[StoredLetter]) -> Successors:
    """Which letters were sent again and came back."""
    came_back: dict[str, set[bytes]] = {}
    for letter in letters:
        for name, value in letter.headers:
            if name == REPLAYED and value is not None:
                came_back.setdefault(value.decode(errors="replace"), set()).add(_digest(letter))
    return came_back


def current(letters: Iterable[StoredLetter], came_back: Successors) -> Iterator[StoredLetter]:
    """Letters that no newer one stands for: a record that was sent again, unchanged, and set aside again is one letter.

    What a header claims alone hides nothing: the newer letter holds the same value.
    """
    gone = set[tuple[str, int, int]]()
    for letter in letters:
        if (values := came_back.get(letter.identity)) and _digest(letter) in values:
            gone.add(letter.place)
        if letter.place not in gone:
            yield letter


def _digest(letter: StoredLetter) -> bytes:
    return hashlib.sha256(letter.value or b"").digest()


def distinct(letters: Iterable[StoredLetter]) -> list[StoredLetter]:
    """Each record's letter once: after a crash, or sent again in vain, the same record is set aside again."""
    read_letters = list(letters)
    return list({letter.place: letter for letter in current(read_letters, successors(read_letters))}.values())


def find(settings: Settings, identity: str) -> StoredLetter:
    """A dead letter by its id.

    Raises
    ------
    NotFound
        There is none.
    """
    for letter in read(settings):
        if letter.identity == identity:
            return letter
    raise NotFound(f"no dead letter {identity!r}; `loyalty dead-letters list` shows them")


class Replayed(NamedTuple):
    """What became of dead letters that were to be sent again."""

    sent: int
    """So many lie in their topics now: the broker has confirmed them."""
    of_erased: int
    """Not sent, because they name a customer who was erased."""
    refused: Sequence[tuple[str, str]]
    """Ids of those that Kafka did not take, and why."""


def replay(settings: Settings, wanted: Callable[[StoredLetter], bool]) -> Replayed:
    """Send dead letters to the input they came from. The letters stay where they are.

    What names a customer who was erased is not sent: it would lie in the topic for another year. Nor is what the worker
    wrote itself: an old state would overwrite the newer one.

    A record is sent under its customer's key where that can be read, so one that lay in a wrong partition finds its
    place. An event that was folded meanwhile is recognised by its id; a letter that was sent again before and came back
    is not sent beside the one it came back as.
    """
    alone = {"batch.num.messages": 1}  # the broker refuses batches: one record must take no other with it
    producer = kafka.producer(settings, "letters", **alone, **{"queue.buffering.max.kbytes": MOST_WAITING_KB})
    known = {settings.topic(topic.name) for topic in INPUTS}
    suppressions = Suppressions(settings).read()
    confirmed, refused = set[str](), dict[str, str]()
    of_erased, seen = 0, set[tuple[str, int, int]]()
    letters = list(read(settings))
    for letter in current(letters, successors(letters)):
        if not (wanted(letter) and letter.topic in known) or letter.place in seen:
            continue
        seen.add(letter.place)
        if names_suppressed(letter.key, letter.value, suppressions.digests, letter.headers):
            of_erased += 1
            continue
        sending = kafka.Sending(producer)
        own = [(name, value) for name, value in letter.headers if name != REPLAYED]
        headers = [*own, (REPLAYED, letter.identity.encode())]
        sending.send(letter.topic, _key(settings, letter), letter.value, headers)
        sending.finish(_noted(letter.identity, confirmed, refused))
        producer.poll(0)
    suppressions.close()
    kafka.flush(producer, FLUSH_SECONDS)
    return Replayed(len(confirmed), of_erased, sorted(refused.items()))


def _noted(identity: str, confirmed: set[str], refused: dict[str, str]) -> Callable[[str | None], None]:
    def done(failure: str | None) -> None:
        if failure is None:
            confirmed.add(identity)
        else:
            refused[identity] = failure

    return done


def _key(settings: Settings, letter: StoredLetter) -> bytes | None:
    kind = BY_NAME[settings.logical(letter.topic)].kind
    if kind is None:
        return letter.key
    try:
        return Decoder(kind)(letter.value, datetime.now(UTC)).event.customer_id.encode()
    except BadEvent:
        return letter.key
