"""The states of a partition that name erased customers, and the states that replace them.

The order carries the guarantee: the changelog forgets them and the broker confirms that, then the store does; only then
may anybody be told that they are forgotten. A crash repeats it, because the list is read again at the next start.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import NamedTuple

import structlog

from pipeline.core.contract.decode import UNREADABLE
from pipeline.core.state.customer import decode_state, encode_state
from pipeline.core.state.marks import customer_of
from pipeline.core.state.suppression import digest_of, referrer_in, without_referrer
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.stores import Store, Values

PIECE = 5_000
"""How many states are looked at before others get their turn."""


class Forgotten(NamedTuple):
    """The records for the changelog: none for an erased customer, and states of others without their name."""

    erased: list[bytes]
    """Customers and their pieces, also such as their states know nothing of."""
    changed: dict[bytes, bytes]


async def forgotten(store: Store, suppressed: Collection[bytes]) -> Forgotten:
    """Look through a partition's states; the caller holds the partition for itself."""
    erasures = Forgotten([], {})
    for number, (key, value) in enumerate(store.items()):
        if digest_of(key) in suppressed:
            erasures.erased.append(key)
        elif (referrer := referrer_in(value)) is not None and digest_of(referrer.encode()) in suppressed:
            with contextlib.suppress(*UNREADABLE):  # no state of ours: events of that customer are set aside
                erasures.changed[key] = encode_state(without_referrer(decode_state(value)))
        if number % PIECE == 0:
            await asyncio.sleep(0)
    erasures.erased.extend([key for key, _ in store.pieces() if digest_of(customer_of(key)) in suppressed])
    return erasures


async def forget(partition: int, store: Store, outputs: KafkaOutputs, suppressed: Collection[bytes]) -> list[bytes]:
    """Forget erased customers in a partition that the caller holds for itself; returns the keys they had."""
    erasures = await forgotten(store, suppressed)
    values: Values = {**dict.fromkeys(erasures.erased), **erasures.changed}
    if values:
        store.superseded.difference_update(erasures.erased)  # kept with the next put, by name
        store.put(values, await outputs.states(partition, values))
        structlog.get_logger().info("erased customers were forgotten", partition=partition, states=len(values))
    if store.unscrubbed:  # also where the changelog said so before this worker did
        await asyncio.to_thread(store.scrub)
    return erasures.erased
