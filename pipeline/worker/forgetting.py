"""What a partition's states hold of erased customers, and what has to be written instead."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from pipeline.core.customer import decode_state, encode_state
from pipeline.core.suppression import digest_of, referrer_in, without_referrer
from pipeline.worker.stores import Store

PIECE = 5_000
"""How many states are looked at before others get their turn."""


class Forgotten(NamedTuple):
    """What goes into the changelog: no state for who was erased, and states of others without their name."""

    erased: list[bytes]
    changed: dict[bytes, bytes]


async def forgotten(store: Store, suppressed: Collection[bytes]) -> Forgotten:
    """Look through a partition's states; the caller holds the partition for itself."""
    found = Forgotten([], {})
    for number, (key, value) in enumerate(store.items()):
        if digest_of(key) in suppressed:
            found.erased.append(key)
        elif (referrer := referrer_in(value)) is not None and digest_of(referrer.encode()) in suppressed:
            with contextlib.suppress(msgspec.MsgspecError):  # no state of ours: events of that customer are set aside
                found.changed[key] = encode_state(without_referrer(decode_state(value)))
        if number % PIECE == 0:
            await asyncio.sleep(0)
    return found
