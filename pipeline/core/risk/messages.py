"""What the desk is told: one message about one issue of one customer."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pipeline.core.contract.events import Instant
from pipeline.core.state.customer import Severity, Status

Transition = Literal["raised", "escalated", "eased", "updated", "resolved", "closed", "reopened", "withdrawn"]
Share = Annotated[float, Meta(ge=0, le=1)]
"""A probability, 0 to 1."""


class Contribution(Struct, frozen=True):
    """One term of a score: its name, the plain number it rests on, and its share of the logit."""

    term: str
    value: float
    logit: float


class ChurnAlert(Struct, frozen=True, kw_only=True):
    """One message to the desk about one issue of one customer. Ids and reasons; no free text of the customer."""

    alert_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    customer_id: str
    issue_id: str
    rule: str
    rule_version: str
    transition: Transition
    status: Status
    severity: Severity
    churn_risk_0_1: Share
    churn_risk_before_0_1: Share
    contributions: list[Contribution]
    reasons: list[str]
    recommended_action: str
    history: str
    contact_ids: list[str]
    evidence: list[str] = []
    """The events it rests on: the newest stage of each contact, and the answers about the issue."""
    held_out: bool = False
    """Nobody acts on it, to measure what acting does."""
    experiment: str = ""
    """The experiment that drew so; empty where the draw was made from the alert's id."""
    backfill: bool = False
    """For the record, not for the desk: the issue is known from imported history only."""
    caused_by_event: str
    raised_at: Instant
    occurred_at: Instant
    synthetic: bool
