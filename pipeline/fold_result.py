"""The states that folding reads, and its result for the slices of a partition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.core.state.customer import Customer, encode_state
from pipeline.records import AlertUpdate, DeadLetter, SliceStats


class States(Protocol):
    """Where customers are kept: one partition's worth is read and written by one slice at a time."""

    def read(self, partition: int, customer_id: bytes) -> Customer | None:
        """A customer, as an object of the caller's own."""
        ...

    def piece(self, partition: int, key: bytes) -> bytes | None:
        """A piece."""
        ...

    def write(self, partition: int, values: Mapping[bytes, bytes], last: int) -> None:
        """Show pieces or encoded customers that are in the changelog, the last of them at the offset ``last``."""


@dataclass(slots=True)
class FoldResult:
    """Result of folding a partition's slices, before anything is sent."""

    changed: dict[bytes, bytes] = field(default_factory=dict)
    """Customers, encoded."""
    pieces: dict[bytes, bytes] = field(default_factory=dict)
    """Pieces with marks that these customers no longer hold."""
    open: set[bytes] = field(default_factory=set)
    """The customers among them with an open alert."""
    news: list[AlertUpdate] = field(default_factory=list)
    seen: list[SliceStats] = field(default_factory=list)
    """Of each slice."""

    def keep(self, key: bytes, customer: Customer) -> None:
        """A customer as they are now."""
        self.changed[key] = encode_state(customer)
        self.open.discard(key)
        for alert in customer.alerts:
            if alert.status == "open":
                self.open.add(key)

    @property
    def dead(self) -> list[DeadLetter]:
        """The records of all slices that cannot be used."""
        return [letter for seen in self.seen for letter in seen.dead]
