"""The plan of an erasure, and its receipt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.core.contract.moments import to_the_second
from pipeline.erasure.erased_customers import receipt_id_of
from pipeline.erasure.suppression_list import Suppression
from pipeline.erasure.topic_scan import Trace
from pipeline.erasure.warehouse_search import Noted
from pipeline.topics import STATES
from pipeline.warehouse.leftovers import OnDisk

CHANGELOG = f"topic {STATES.name}"
"""The place of a receipt that is no table."""


class ErasurePlan(NamedTuple):
    """Everything there is of a customer before anything is removed."""

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


class ErasureReceipt(NamedTuple):
    """The record of an erasure. It holds no id; whoever knows the id can compute the receipt's."""

    receipt_id: str
    suppressed_at: datetime
    reason: str
    places: Sequence[Noted]
    remains: Sequence[Trace]
    on_disk: OnDisk
    """The parts on the warehouse's disk that lie behind its rows."""

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
    """The records that a topic keeps for a while, for a program."""
    return {"topic": trace.topic, "records": trace.records, "gone_by": trace.until and to_the_second(trace.until)}


def plan_data(plan: ErasurePlan) -> dict[str, Any]:
    """The plan of an erasure, for a program."""
    rows = plan.rows | {CHANGELOG: int(plan.has_state)}
    return {
        "receipt_id": receipt_id_of(plan.customer_id),
        "suppressed_at": plan.entry and to_the_second(plan.entry.suppressed_at),
        "places": [{"place": place, "before": count} for place, count in rows.items() if count],
        "open_alerts": plan.open_alerts,
        "remains": [remaining(trace) for trace in plan.traces],
    }
