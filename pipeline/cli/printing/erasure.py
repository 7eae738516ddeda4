"""Prints what an erasure would do, and its receipt."""

from collections.abc import Sequence

from pipeline.cli.printing import output
from pipeline.core.contract.moments import to_the_second
from pipeline.erasure.receipt import ErasurePlan, ErasureReceipt, plan_data
from pipeline.erasure.topic_scan import Trace
from pipeline.warehouse.leftovers import OnDisk


def show_plan(plan: ErasurePlan) -> None:
    """What would be erased, for a person."""
    data = plan_data(plan)
    if plan.entry:
        output.say(
            f"Erased before, on {to_the_second(plan.entry.suppressed_at)}; running it again takes out what is left."
        )
    output.table(["place", "rows now"], [[entry["place"], entry["before"]] for entry in data["places"]])
    show_open_alerts(plan.open_alerts)
    _show_remains(plan.traces)


def show_open_alerts(alerts: Sequence[str]) -> None:
    """Alerts that nobody may act on any more. The desk loses them; a system that copied them has to be told."""
    if alerts:
        output.note(
            f"Open alerts that are taken from the desk; close them wherever they were copied to: {', '.join(alerts)}"
        )


def show_receipt(receipt: ErasureReceipt) -> None:
    """The receipt for a person."""
    since = to_the_second(receipt.suppressed_at)
    output.say(f"Receipt {receipt.receipt_id}: erased, {receipt.reason}, on the list since {since}.")
    output.table(["place", "before", "after"], [[n.place, n.found, n.left] for n in receipt.places])
    _show_on_disk(receipt.on_disk)
    _show_remains(receipt.remains)


def _show_on_disk(on_disk: OnDisk) -> None:
    if on_disk.old_parts:
        output.say(
            f"The warehouse's disk still holds {on_disk.old_parts} of the parts that were written again; the server "
            "removes them when its old_parts_lifetime is over. Run it again then to see that they are gone."
        )
    else:
        output.say("The parts that were written again are gone from the warehouse's disk.")
    if on_disk.detached_parts:
        output.say(
            f"{on_disk.detached_parts} detached parts lie beside the tables, and nobody can erase from those: look at "
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
