"""Erases a customer everywhere, for good, and returns a receipt.

The order carries the guarantee. Killed at any step and run again, it goes on and ends with the same receipt:

1. what the warehouse and the changelog hold is noted under the receipt
2. the customer is put on the list of erased ones, and the broker has confirmed that: from here on nothing brings
   them back
3. workers have put the list into force (their changelog has forgotten the customer); sinks have finished the batches
   they had recorded before. Where none runs, nothing is waited for: they read the list when they start
4. without a worker, the changelog is told to forget the customer from here
5. the warehouse forgets them, table by table
6. the engine removes the parts that were written again from its disk
7. everything is counted again; only when nothing is left there is a receipt

What lies in the topics cannot be taken out record by record. Nobody uses it any more, and the receipt says until when
it lies there.
"""

import os
from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure import warehouse_search
from pipeline.erasure.erased_customers import check_id, entry_of, receipt_id_of
from pipeline.erasure.reasons import ErasureReason
from pipeline.erasure.receipt import CHANGELOG, ErasurePlan, ErasureReceipt
from pipeline.erasure.suppression_list import Suppression, is_enforced, suppress
from pipeline.erasure.topic_scan import keys_of, traces
from pipeline.erasure.warehouse_search import Noted
from pipeline.errors import NotFound, Transient
from pipeline.progress import Meter, silent
from pipeline.topics import STATES
from pipeline.waiting import wait_until
from pipeline.warehouse.client import Warehouse, connect

WAIT_SECONDS = 120.0
"""How long workers and sinks may take to notice."""


def look(settings: Settings, customer_id: str, meter: Meter = silent) -> ErasurePlan:
    """Everything there is of a customer; changes nothing.

    Raises
    ------
    Refused
        This can be nobody's id, or the warehouse cannot keep receipts yet.
    Unreachable
        A service does not answer.
    """
    check_id(customer_id)
    warehouse = connect(settings)
    warehouse_search.check_ready(warehouse)
    entry = entry_of(settings, customer_id)
    with meter("Reading the log", "records") as progress:
        left = traces(settings, customer_id, progress)
    has_state = any(trace.has_state for trace in left)
    rows, alerts = warehouse_search.count(warehouse, customer_id), warehouse_search.open_alerts(warehouse, customer_id)
    return ErasurePlan(customer_id, entry, rows, has_state, left, alerts)


def check_known(plan: ErasurePlan, *, even_if_unknown: bool) -> None:
    """Refuse to erase nobody: it is more often a mistyped id than a wish.

    Raises
    ------
    NotFound
        Nothing is known of them.
    """
    if not plan.is_anything and not even_if_unknown:
        raise NotFound(
            f"nothing is known of customer {plan.customer_id!r}: no row, no state, no record. To keep them out all "
            "the same: --even-if-unknown"
        )


def erase(
    settings: Settings,
    plan: ErasurePlan,
    why: ErasureReason,
    say: Callable[[str], None],
    open_intents: Callable[[Settings], Set[object]],
    meter: Meter = silent,
) -> ErasureReceipt:
    """Steps 1 to 7; ``say`` takes what each did, ``open_intents`` gives the batches that sinks have recorded and not
    committed.

    Raises
    ------
    Transient
        A step could not be finished; nothing is lost by running it again.
    """
    crash, warehouse = CrashPoints.from_env(os.environ), connect(settings)
    now = datetime.now(UTC).replace(microsecond=0)
    entry = plan.entry or Suppression(now, why.value, receipt_id_of(plan.customer_id))
    receipt = entry.receipt_id, entry.suppressed_at, entry.reason
    _note(warehouse, receipt, plan.rows | {CHANGELOG: int(plan.has_state)})  # 1
    crash.reached(Point.ERASE_NOTED)
    offsets = suppress(settings, plan.customer_id, entry)  # 2
    say("On the list of erased customers: nothing brings them back.")
    crash.reached(Point.ERASE_SUPPRESSED)
    say(_wait_for_workers(settings, offsets))  # 3
    say(_wait_for_sinks(settings, open_intents))
    crash.reached(Point.ERASE_HEEDED)
    _forget_state(settings, plan.customer_id)  # 4
    _note(warehouse, receipt, warehouse_search.count(warehouse, plan.customer_id))
    for place in warehouse_search.erase(warehouse, plan.customer_id):  # 5
        say(f"Taken out of {place}.")
        crash.reached(Point.ERASE_MID_DELETION)
    crash.reached(Point.ERASE_DELETED)
    on_disk = warehouse_search.cleaned(warehouse)  # 6
    _verify(settings, warehouse, plan.customer_id, receipt)  # 7
    crash.reached(Point.ERASE_VERIFIED)
    places = [noted for noted in warehouse_search.noted(warehouse, entry.receipt_id) if noted.found]
    with meter("Reading the log", "records") as progress:
        remains = traces(settings, plan.customer_id, progress)
    return ErasureReceipt(*receipt, places, remains, on_disk)


def _note(warehouse: Warehouse, receipt: tuple[str, datetime, str], rows: dict[str, int]) -> None:
    warehouse_search.note(warehouse, receipt, [Noted(place, count, count) for place, count in rows.items() if count])


def _wait_for_workers(settings: Settings, offsets: dict[int, int]) -> str:
    return _wait_for(
        settings, "worker", lambda: is_enforced(settings, offsets), "The workers have forgotten them.",
        "No worker runs; the next one reads the list when it starts.", "the workers have not forgotten the customer",
    )  # fmt: skip


def _wait_for_sinks(settings: Settings, open_intents: Callable[[Settings], Set[object]]) -> str:
    begun = open_intents(settings)
    return _wait_for(
        settings, "sink", lambda: not begun & open_intents(settings), "The sinks heed the list.",
        "No sink runs; the next one reads the list before it writes.",
        "the sinks have not finished what they had begun",
    )  # fmt: skip


def _wait_for(
    settings: Settings, process: str, is_done: Callable[[], bool], done: str, nobody: str, unfinished: str
) -> str:
    """Wait until processes of a kind have done something, or none of them runs; returns which, in a sentence."""

    def ask() -> str:
        if is_done():
            return done
        return "" if kafka.members(settings, settings.group(process)) else nobody

    if not (outcome := wait_until(ask, seconds=WAIT_SECONDS, pause=0.2)):
        raise Transient(
            f"{unfinished} within {WAIT_SECONDS:.0f} s; `loyalty status` shows whether they work. Run it again then: "
            "it goes on from here"
        )
    return outcome


def _forget_state(settings: Settings, customer_id: str) -> None:
    """Write the tombstones where no worker does; while one runs they would look like a second worker's."""
    partition = partition_of(customer_id.encode(), settings.partitions)
    if kafka.members(settings, settings.group("worker")) or not (keys := keys_of(settings, customer_id, partition)):
        return
    producer = kafka.producer(settings, "erase")
    with kafka.send_confirmed(producer, _not_taken) as sending:
        for key in keys:
            sending.send(settings.topic(STATES.name), key, None, partition=partition)


def _not_taken(failures: Sequence[str | None]) -> Transient:
    return Transient(f"Kafka did not take the state's erasure ({failures}); run it again")


def _verify(settings: Settings, warehouse: Warehouse, customer_id: str, receipt: tuple[str, datetime, str]) -> None:
    partition = partition_of(customer_id.encode(), settings.partitions)
    left = warehouse_search.count(warehouse, customer_id) | {
        CHANGELOG: int(bool(keys_of(settings, customer_id, partition)))
    }
    known = warehouse_search.noted(warehouse, receipt[0])
    warehouse_search.note(
        warehouse, receipt, [Noted(entry.place, entry.found, left.get(entry.place, 0)) for entry in known]
    )  # fmt: skip
    still = [f"{count} in {place}" for place, count in left.items() if count]
    if still:
        raise Transient(f"something of the customer is left: {', '.join(still)}. Run it again: it goes on from here")
