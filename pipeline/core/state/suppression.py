"""Recognises records of erased customers by a digest, without keeping their ids.

The list of erased customers holds the SHA-256 of each id. It keeps nobody from trying out an id that is known already,
which is what the list is for; it cannot be read backwards into a list of customers.
"""

from collections.abc import Collection
from copy import copy
from hashlib import sha256
from typing import Any

import msgspec

from pipeline.core.contract.events import Event, Purchase
from pipeline.core.contract.naming import Headers, named
from pipeline.core.state.customer import Customer
from pipeline.core.state.profile import Stated

Suppressed = Collection[bytes]
"""Digests of erased customers; empty where nobody was erased, which must cost nothing."""


def digest_of(customer_id: bytes) -> bytes:
    """What stands for a customer in the list: the SHA-256 of the UTF-8 id."""
    return sha256(customer_id).digest()


def names_suppressed(key: bytes | None, value: bytes | None, suppressed: Suppressed, headers: Headers = ()) -> bool:
    """Whether a record that is no event names an erased customer, in whatever way."""
    return bool(suppressed) and any(digest_of(name) in suppressed for name in named(key, value, headers))


def without_referral(event: Event, suppressed: Suppressed) -> Event:
    """The event as if it did not say that an erased customer recommended us; it belongs to somebody else."""
    if isinstance(event, Purchase) and event.referred_by and digest_of(event.referred_by.encode()) in suppressed:
        return msgspec.structs.replace(event, referred_by=None)
    return event


_referred = msgspec.msgpack.Decoder(
    msgspec.defstruct(
        "_Referred",
        [
            (name, *((Stated | None, None) if name == "stated" else (msgspec.Raw, msgspec.Raw())))
            for name in Customer.__struct_fields__
        ],
        array_like=True,
    )
)


def referrer_in(state: bytes) -> str | None:
    """The customer who recommended us to the one of an encoded state; none in what is no state."""
    try:
        seen: Any = _referred.decode(state)
    except msgspec.MsgspecError:
        return None
    return _referrer(seen.stated)


class _Named(msgspec.Struct):
    stated: Stated | None = None


_named = msgspec.json.Decoder(_Named)


def referrer_named(state: bytes) -> str | None:
    """The same in a state written by :func:`~pipeline.core.state.customer.encode_named`."""
    try:
        return _referrer(_named.decode(state).stated)
    except msgspec.MsgspecError:
        return None


def _referrer(known: Stated | None) -> str | None:
    return known.referred_by.customer_id if known is not None and known.referred_by is not None else None


def without_referrer(customer: Customer) -> Customer:
    """The customer as if nobody were known to have recommended us to them.

    Somebody named later than the one who is taken out stays unknown until the next rebuild: a state keeps the first.
    """
    after = copy(customer)
    if after.stated is not None:
        after.stated = copy(after.stated)
        after.stated.referred_by = None
        if after.stated == Stated():
            after.stated = None
    return after
