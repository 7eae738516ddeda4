"""Whether a customer was erased; every command that answers about a customer asks this first."""

from datetime import UTC, datetime
from hashlib import sha256

from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppression, Suppressions
from pipeline.errors import NotFound, Refused


def receipt_id_of(customer_id: str) -> str:
    """The receipt of a customer: derived from the id, so that it is the same whenever the erasure is run again."""
    return sha256(b"loyalty erasure\0" + customer_id.encode()).hexdigest()[:32]


def check_id(customer_id: str) -> None:
    """Refuse what no event could carry as a customer's id."""
    if not 1 <= len(customer_id) <= 200 or any(c < " " or c == "\x7f" for c in customer_id):
        raise Refused("this can be nobody's id: an id has 1 to 200 characters, none of them a control character")


def entry_of(settings: Settings, customer_id: str) -> Suppression | None:
    """The customer's entry in the list of erased ones."""
    entry = _read_list(settings).entry(customer_id)
    if entry is None:
        return None
    return entry.suppression or Suppression(datetime.fromtimestamp(0, UTC), "unknown", receipt_id_of(customer_id))


def _read_list(settings: Settings) -> Suppressions:
    known = Suppressions(settings)
    try:
        return known.read()
    finally:
        known.close()


def check_not_erased(settings: Settings, customer_id: str) -> None:
    """Say so when a customer was erased.

    Raises
    ------
    NotFound
        They were.
    """
    entry = entry_of(settings, customer_id)
    if entry is not None:
        raise NotFound(f"this customer was erased on {entry.suppressed_at:%Y-%m-%d}, receipt {entry.receipt_id}")
