"""What an erasure finds and what it did, for people and programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.commands import output
from pipeline.commands.erased import receipt_id_of
from pipeline.core.contract.moments import to_the_second
from pipeline.erasure.suppression_list import Suppression
from pipeline.erasure.topic_scan import Trace
from pipeline.erasure.warehouse_search import Noted
from pipeline.topics import STATES
from pipeline.warehouse.leftovers import OnDisk

CHANGELOG = f"topic {STATES.name}"
"""The place of a receipt that is no table."""


class Found(NamedTuple):
    """What there is of a customer before anything is done."""

    customer_id: str
    entry: Suppression | None
    """Their entry in the list, when they were erased before."""
    rows: dict[str, int]
    has_state: bool
    traces: list[Trace]
    open_alerts: list[str]
    """Alerts that wait for the desk; their ids are hashes."""

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
    on_disk: OnDisk
    """What the warehouse's disk was found to hold behind its rows."""

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        return {
            "receipt_id": self.receipt_id,
            "suppressed_at": to_the_second(self.suppressed_at),
            "reason": self.reason,
            "places": [{"place": n.place, "before": n.found, "after": n.left} for n in self.places],
            "remains": [remaining(trace) for trace in self.remains],
            "on_disk": self.on_disk._asdict(),
        }


def remaining(trace: Trace) -> dict[str, Any]:
    """What a topic keeps for a while, for a program."""
    return {"topic": trace.topic, "records": trace.records, "gone_by": trace.until and to_the_second(trace.until)}


def plan_data(found: Found) -> dict[str, Any]:
    """What would be erased, for a program."""
    rows = found.rows | {CHANGELOG: int(found.has_state)}
    return {
        "receipt_id": receipt_id_of(found.customer_id),
        "suppressed_at": found.entry and to_the_second(found.entry.suppressed_at),
        "places": [{"place": place, "before": count} for place, count in rows.items() if count],
        "open_alerts": found.open_alerts,
        "remains": [remaining(trace) for trace in found.traces],
    }


def show_plan(found: Found) -> None:
    """What would be erased, for a person."""
    data = plan_data(found)
    if found.entry:
        output.say(
            f"Erased before, on {to_the_second(found.entry.suppressed_at)}; running it again takes out what is left."
        )
    output.table(["place", "rows now"], [[entry["place"], entry["before"]] for entry in data["places"]])
    show_open_alerts(found.open_alerts)
    _show_remains(found.traces)


def show_open_alerts(alerts: Sequence[str]) -> None:
    """Alerts that nobody may act on any more. The desk loses them; a system that copied them has to be told."""
    if alerts:
        output.note(
            f"Open alerts that are taken from the desk; close them wherever they were copied to: {', '.join(alerts)}"
        )


def show_receipt(receipt: Receipt) -> None:
    """The receipt for a person."""
    since = to_the_second(receipt.suppressed_at)
    output.say(f"Receipt {receipt.receipt_id}: erased, {receipt.reason}, on the list since {since}.")
    output.table(["place", "before", "after"], [[n.place, n.found, n.left] for n in receipt.places])
    _show_on_disk(receipt.on_disk)
    _show_remains(receipt.remains)


def _show_on_disk(found: OnDisk) -> None:
    if found.old_parts:
        output.say(
            f"The warehouse's disk still holds {found.old_parts} of the parts that were written again; the server "
            "removes them when its old_parts_lifetime is over. Run it again then to see that they are gone."
        )
    else:
        output.say("The parts that were written again are gone from the warehouse's disk.")
    if found.detached_parts:
        output.say(
            f"{found.detached_parts} detached parts lie beside the tables, and nobody can erase from those: look at "
            "system.detached_parts, and drop what is not needed."
        )


def _show_remains(remains: Sequence[Trace]) -> None:
    if not remains:
        output.say("No topic holds a record that names them.")
        return
    output.say("What stays in Kafka until the topic drops it; nothing of ours uses it:")
    output.table(
        ["topic", "records", "gone by (UTC)"],
        [
            [t.topic, t.records, to_the_second(t.until)[:10] if t.until else "never, as the topic is set"]
            for t in remains
        ],
    )
