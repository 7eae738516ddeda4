"""``loyalty erase``: take a customer out of everything, for good, and say what was done.

The order carries the guarantee. Killed at any step and run again, it goes on and ends with the same receipt:

1. what the warehouse and the changelog hold is noted under the receipt
2. the customer is put on the list of erased ones, and the broker has confirmed that: from here on nothing brings
   them back
3. workers have put the list into force (their changelog has forgotten the customer); sinks have finished the batches
   they had recorded before. Where none runs, nothing is waited for: they read the list when they start
4. without a worker, the changelog is told to forget the customer from here
5. the warehouse forgets them, table by table
6. everything is counted again; only when nothing is left there is a receipt

What lies in the topics cannot be taken out record by record. Nobody uses it any more, and the receipt says until when
it lies there.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from pipeline import kafka
from pipeline.commands import output
from pipeline.commands.traces import Trace, states_of, traces
from pipeline.config import Settings
from pipeline.core.partition import partition_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import NotFound, Refused, Transient
from pipeline.sink import erasure
from pipeline.sink.erasure import Noted
from pipeline.sink.passing import intents
from pipeline.sink.warehouse import Warehouse, connect
from pipeline.suppressed import Suppression, Suppressions, Why, heeded, suppress
from pipeline.topics import STATES

CHANGELOG = f"topic {STATES.name}"
WAIT_SECONDS = 120.0
"""How long workers and sinks may take to notice."""


class Found(NamedTuple):
    """What there is of a customer before anything is done."""

    customer_id: str
    entry: Suppression | None
    """Their entry in the list, when they were erased before."""
    rows: dict[str, int]
    has_state: bool
    traces: list[Trace]

    @property
    def is_anything(self) -> bool:
        """Whether anything at all is known of them."""
        return bool(self.entry or any(self.rows.values()) or self.traces)


class Receipt(NamedTuple):
    """What an erasure did. It holds no id; who knows the id can compute the receipt's."""

    receipt_id: str
    suppressed_at: datetime
    reason: str
    places: Sequence[Noted]
    remains: Sequence[Trace]

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        return {
            "receipt_id": self.receipt_id,
            "suppressed_at": _iso(self.suppressed_at),
            "reason": self.reason,
            "places": [{"place": n.place, "before": n.found, "after": n.left} for n in self.places],
            "remains": [remaining(trace) for trace in self.remains],
        }


def receipt_id_of(customer_id: str) -> str:
    """The receipt of a customer: derived from the id, so that it is the same whenever the erasure is run again."""
    return sha256(b"loyalty erasure\0" + customer_id.encode()).hexdigest()[:32]


def look(settings: Settings, customer_id: str) -> Found:
    """What there is of a customer; changes nothing.

    Raises
    ------
    Refused
        This can be nobody's id, or the warehouse cannot keep receipts yet.
    Unreachable
        A service does not answer.
    """
    check_id(customer_id)
    warehouse = connect(settings)
    erasure.check_ready(warehouse)
    entry = entry_of(settings, customer_id)
    left = traces(settings, customer_id)
    has_state = any(trace.has_state for trace in left)
    return Found(customer_id, entry, erasure.count(warehouse, customer_id), has_state, left)


def check_id(customer_id: str) -> None:
    """Refuse what no event could carry as a customer's id."""
    if not 1 <= len(customer_id) <= 200 or any(c < " " or c == "\x7f" for c in customer_id):
        raise Refused("this can be nobody's id: an id has 1 to 200 characters, none of them a control character")


def entry_of(settings: Settings, customer_id: str) -> Suppression | None:
    """The customer's entry in the list of erased ones."""
    found = _read_list(settings).entry(customer_id)
    if found is None:
        return None
    return found.said or Suppression(datetime.fromtimestamp(0, UTC), "unknown", receipt_id_of(customer_id))


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


def check_known(found: Found, *, even_if_unknown: bool) -> None:
    """Refuse to erase nobody: it is more often a mistyped id than a wish.

    Raises
    ------
    NotFound
        Nothing is known of them.
    """
    if not found.is_anything and not even_if_unknown:
        raise NotFound(
            f"nothing is known of customer {found.customer_id!r}: no row, no state, no record. To keep them out all "
            "the same: --even-if-unknown"
        )


def erase(settings: Settings, found: Found, why: Why, say: Callable[[str], None]) -> Receipt:
    """Steps 1 to 6; ``say`` is told each.

    Raises
    ------
    Transient
        A step could not be finished; nothing is lost by running it again.
    """
    crash, warehouse = CrashPoints.from_env(os.environ), connect(settings)
    now = datetime.now(UTC).replace(microsecond=0)
    said = found.entry or Suppression(now, why.value, receipt_id_of(found.customer_id))
    receipt = said.receipt_id, said.suppressed_at, said.reason
    _note(warehouse, receipt, found.rows | {CHANGELOG: int(found.has_state)})  # 1
    crash.reached(Point.ERASE_NOTED)
    heed = suppress(settings, found.customer_id, said)  # 2
    say("On the list of erased customers: nothing brings them back.")
    crash.reached(Point.ERASE_SUPPRESSED)
    say(_wait_for_workers(settings, heed))  # 3
    say(_wait_for_sinks(settings))
    crash.reached(Point.ERASE_HEEDED)
    _forget_state(settings, found.customer_id)  # 4
    _note(warehouse, receipt, erasure.count(warehouse, found.customer_id))
    for place in erasure.erase(warehouse, found.customer_id):  # 5
        say(f"Taken out of {place}.")
        crash.reached(Point.ERASE_MID_DELETION)
    crash.reached(Point.ERASE_DELETED)
    _verify(settings, warehouse, found.customer_id, receipt)  # 6
    crash.reached(Point.ERASE_VERIFIED)
    places = [entry for entry in erasure.noted(warehouse, said.receipt_id) if entry.found]
    return Receipt(*receipt, places, traces(settings, found.customer_id))


def _note(warehouse: Warehouse, receipt: tuple[str, datetime, str], rows: dict[str, int]) -> None:
    erasure.note(warehouse, receipt, [Noted(place, count, count) for place, count in rows.items() if count])


def _wait_for_workers(settings: Settings, heed: dict[int, int]) -> str:
    end = time.monotonic() + WAIT_SECONDS
    while not heeded(settings, heed):
        if not kafka.members(settings, "worker"):
            return "No worker runs; the next one reads the list when it starts."
        if time.monotonic() > end:
            raise Transient(
                f"the workers have not forgotten the customer within {WAIT_SECONDS:.0f} s; `loyalty status` shows "
                "whether they work. Run it again then: it goes on from here"
            )
        time.sleep(0.2)
    return "The workers have forgotten them."


def _wait_for_sinks(settings: Settings) -> str:
    begun = intents(settings)
    end = time.monotonic() + WAIT_SECONDS
    while begun & intents(settings):
        if not kafka.members(settings, "sink"):
            return "No sink runs; the next one reads the list before it writes."
        if time.monotonic() > end:
            raise Transient(
                f"the sinks have not finished what they had begun within {WAIT_SECONDS:.0f} s; `loyalty status` shows "
                "whether they work. Run it again then: it goes on from here"
            )
        time.sleep(0.2)
    return "The sinks heed the list."


def _forget_state(settings: Settings, customer_id: str) -> None:
    """Write the tombstone where no worker does; beside one it would look like a second worker's."""
    partition = partition_of(customer_id.encode(), settings.partitions)
    if kafka.members(settings, "worker") or not _has_state(settings, customer_id, partition):
        return
    producer = kafka.producer(settings, "erase")
    sending, failures = kafka.Sending(producer), list[str | None]()
    sending.send(settings.topic(STATES.name), customer_id.encode(), None, partition=partition)
    sending.finish(failures.append)
    kafka.flush(producer)
    if failures != [None]:
        raise Transient(f"Kafka did not take the state's erasure ({failures}); run it again")


def _has_state(settings: Settings, customer_id: str, partition: int) -> bool:
    newest = None
    for value in states_of(settings, customer_id, partition):
        newest = value
    return newest is not None


def _verify(settings: Settings, warehouse: Warehouse, customer_id: str, receipt: tuple[str, datetime, str]) -> None:
    partition = partition_of(customer_id.encode(), settings.partitions)
    left = erasure.count(warehouse, customer_id) | {CHANGELOG: int(_has_state(settings, customer_id, partition))}
    known = erasure.noted(warehouse, receipt[0])
    erasure.note(
        warehouse, receipt, [Noted(entry.place, entry.found, left.get(entry.place, 0)) for entry in known]
    )  # fmt: skip
    still = [f"{count} in {place}" for place, count in left.items() if count]
    if still:
        raise Transient(f"something of the customer is left: {', '.join(still)}. Run it again: it goes on from here")


def remaining(trace: Trace) -> dict[str, Any]:
    """What a topic keeps for a while, for a program."""
    return {"topic": trace.topic, "records": trace.records, "gone_by": trace.until and _iso(trace.until)}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def plan_data(found: Found) -> dict[str, Any]:
    """What would be erased, for a program."""
    rows = found.rows | {CHANGELOG: int(found.has_state)}
    return {
        "receipt_id": receipt_id_of(found.customer_id),
        "suppressed_at": found.entry and _iso(found.entry.suppressed_at),
        "places": [{"place": place, "before": count} for place, count in rows.items() if count],
        "remains": [remaining(trace) for trace in found.traces],
    }


def show_plan(found: Found) -> None:
    """What would be erased, for a person."""
    data = plan_data(found)
    if found.entry:
        output.say(f"Erased before, on {_iso(found.entry.suppressed_at)}; running it again takes out what is left.")
    output.table(["place", "rows now"], [[entry["place"], entry["before"]] for entry in data["places"]])
    _show_remains(found.traces)


def show_receipt(receipt: Receipt) -> None:
    """The receipt for a person."""
    output.say(
        f"Receipt {receipt.receipt_id}: erased, {receipt.reason}, on the list since {_iso(receipt.suppressed_at)}."
    )
    output.table(["place", "before", "after"], [[n.place, n.found, n.left] for n in receipt.places])
    _show_remains(receipt.remains)


def _show_remains(remains: Sequence[Trace]) -> None:
    if not remains:
        output.say("No topic holds a record that names them.")
        return
    output.say("What stays in Kafka until the topic drops it; nothing of ours uses it:")
    output.table(
        ["topic", "records", "gone by (UTC)"],
        [[t.topic, t.records, _iso(t.until)[:10] if t.until else "never, as the topic is set"] for t in remains],
    )
