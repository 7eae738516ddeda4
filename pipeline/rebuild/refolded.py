"""States folded again from the events, and how they differ from the live ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.risk.assessment import RiskPolicy
from pipeline.core.state.customer import Customer, decode_state, encode_state, is_newer
from pipeline.core.state.marks import customer_of, is_piece, marks_of, merged
from pipeline.core.state.suppression import Suppressed, digest_of
from pipeline.folding import fold
from pipeline.kafka.incarnations import Bases
from pipeline.records import AlertUpdate, Record, Slice
from pipeline.topics import INPUTS
from pipeline.worker.reading import messages
from pipeline.worker.stores import Store

NEVER = 2**62


class Refolded:
    """One partition's states, folded again from its events."""

    def __init__(self, partition: int, partitions: int, store: Store, policy: RiskPolicy, bases: Bases) -> None:
        self.partition = partition
        self._partitions = partitions
        self.store = store
        self._policy = policy
        self._decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
        self._told = AlertReconciler(
            {topic.name: NEVER for topic in INPUTS}
        )  # nobody is told anything before all is folded
        self.processed: dict[str, int] = {topic: base - 1 for topic, base in bases.items()}

    def read(self, _partition: int, customer_id: bytes) -> Customer | None:
        """A customer as they are folded so far."""
        value = self.store.get(customer_id)
        return None if value is None else decode_state(value)

    def piece(self, _partition: int, key: bytes) -> bytes | None:
        """A piece as it is folded so far."""
        return self.store.get(key)

    def write(self, _partition: int, values: Mapping[bytes, bytes], _last: int) -> None:
        """Take folded customers."""
        self.store.put(values, 0)

    def fold(self, topic: str, records: Sequence[Record], suppressed: Suppressed) -> None:
        """Fold the next records of a topic, whose offsets are counted from its base already."""
        slices = [Slice(topic, self.partition, self._partitions, records)]
        outcome = fold(slices, self._decoders, self, self._told, self.processed, self._policy, suppressed)
        self.write(self.partition, outcome.pieces | outcome.changed, 0)

    def settle(self, settings: Settings, live: Mapping[bytes, bytes]) -> tuple[list[AlertUpdate], set[bytes]]:
        """Bring the states together with what the desk was told: what is news to it, and who cannot be judged yet.

        Time is no event: how far it had passed for an open alert is taken over from the ``live`` state.
        """
        reconciler, news = self._told, list[AlertUpdate]()
        for message in messages(settings, self.partition):
            reconciler.note(message.alert, message.applied, None)
        reconciler.until = {}
        for key in reconciler.due(self.processed):
            customer = self.read(self.partition, key)
            if customer is not None:
                customer.looked_at = max(customer.looked_at, _looked_at(live.get(key)))
            customer, alerts = reconciler.settle(key, customer, self._policy)
            if customer is not None:
                self.store.put({key: encode_state(customer)}, 0)
                news.extend(AlertUpdate(alert, customer.applied, None) for alert in alerts)
        return news, reconciler.waiting & live.keys()


class Differences(NamedTuple):
    """The records to send so that the live states are the folded ones, in this order but for ``erased``."""

    erased: list[bytes]
    """No event makes them."""
    recreated: list[bytes]
    """Erased before they are written: a worker would take the old one for the newer, or put both together."""
    changed: dict[bytes, bytes]
    pieces: dict[bytes, bytes]
    """Sent before the states that need them."""
    left: list[bytes]
    """Pieces that nobody needs; erased last."""


def differences(folded: Store, live: Mapping[bytes, bytes], kept: set[bytes], suppressed: Suppressed) -> Differences:
    """Compare; ``live`` holds pieces as well. The order in which events of several topics arrived is no difference."""
    states = {key: value for key, value in live.items() if not is_piece(key)}
    pieces, before = _by_customer(folded.pieces()), _by_customer(item for item in live.items() if is_piece(item[0]))
    differing = Differences([key for key in states if folded.get(key) is None and key not in kept], [], {}, {}, [])
    for key, value in folded.items():
        if value == states.get(key) and pieces.get(key) == before.get(key):
            before.pop(key, None)
        elif key not in kept and digest_of(key) not in suppressed:
            _compare(differing, key, value, states.get(key), pieces.get(key, {}), before)
    differing.left.extend(piece for name, keys in before.items() if name not in kept for piece in keys)
    return differing


Pieces = dict[bytes, bytes]
"""The pieces of one customer by their keys."""


def _compare(
    differing: Differences, key: bytes, value: bytes, live: bytes | None, pieces: Pieces, before: dict[bytes, Pieces]
) -> None:
    """Note what has to be sent because of one customer; takes those of ``before`` out that stay or are written."""
    there = before.pop(key, {})
    if live is not None and _same(value, live, pieces, there):
        return
    if live is not None and not is_newer(value, live):
        differing.recreated.append(key)
    differing.changed[key] = value
    differing.pieces.update(pieces)
    differing.recreated.extend([name for name, piece in pieces.items() if merged(there.get(name, b""), piece) != piece])
    differing.left.extend(there.keys() - pieces.keys())


def _same(value: bytes, live: bytes, pieces: Pieces, before: Pieces) -> bool:
    new, old = decode_state(value), _readable(live)
    if old is None or marks_of(new, pieces.values()) != marks_of(old, before.values()):
        return False
    new.recent, new.moved = old.recent, old.moved  # stand in the order of arrival
    return new == old


def _by_customer(pieces: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Pieces]:
    found: dict[bytes, Pieces] = {}
    for key, piece in pieces:
        found.setdefault(customer_of(key), {})[key] = piece
    return found


def _looked_at(value: bytes | None) -> int:
    live = _readable(value) if value is not None else None
    return live.looked_at if live is not None else 0


def _readable(value: bytes) -> Customer | None:
    """A live state, ``None`` when it is of another version or none of ours."""
    try:
        return decode_state(value)
    except ValueError:  # msgspec's is one
        return None
