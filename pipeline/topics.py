"""The topics: one row each, and nothing else in the program spells a topic's name.

Every topic is keyed by ``customer_id`` (UTF-8) unless its row says otherwise, and has the same number of partitions,
because the state of a customer lives in the partition of their key. The broker stamps every record with its own append
time, so that lag in seconds is honest; event time is ``occurred_at`` inside the event.
"""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.contract.decode import Kind

Role = Literal["input", "output", "state", "list"]
DAY_MS = 86_400_000
MAX_RECORD_BYTES = 16 * 1024 * 1024
"""The largest record an input takes: far above the largest valid event, so that oversized ones reach dead letters."""

ERROR_HEADERS = "__loyalty.errors."
"""What the names of the headers begin with that say why a record became a dead letter."""

APPLIED_HEADER = "__loyalty.applied"
"""The header of an alert that says what it rests on: a JSON object of the last offset of each input topic."""

MAX_COMPACTION_LAG_MS = DAY_MS
"""After how long superseded states are cleaned away at the latest; without it, an erased one could stay for ever."""

IMPORT_HEADER = "__loyalty.import"
"""The header of an imported event that says which import and which row of its file it is."""

COMPACTION_LAG_MS = 3_600_000
"""How long superseded states are kept at least: a worker that was frozen may write an old one after a newer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: its logical name, role, the schema of its values, and how long it holds them."""

    name: str
    role: Role
    schema: str
    kind: Kind | None = None
    compacted: bool = False
    retention_days: int | None = None
    max_record_bytes: int = MAX_RECORD_BYTES
    key: str = "customer_id"
    per: str = "customer"
    """Whose newest record a compacted topic keeps."""

    @property
    def retention(self) -> str:
        """How long records are held, for a reader."""
        return f"compacted: the newest per {self.per}" if self.compacted else f"{self.retention_days} days"

    def config(self) -> dict[str, str]:
        """The topic's settings at the broker."""
        settings = {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_record_bytes),
            "cleanup.policy": "compact" if self.compacted else "delete",
        }
        if self.compacted:
            settings["min.compaction.lag.ms"] = str(COMPACTION_LAG_MS)
            settings["max.compaction.lag.ms"] = str(MAX_COMPACTION_LAG_MS)
        if self.retention_days is not None:
            settings["retention.ms"] = str(self.retention_days * DAY_MS)
        return settings


PURCHASES = Topic(name="purchases", role="input", schema="purchase.v1", kind="purchase", retention_days=365)
CONTACTS = Topic(
    name="service-contacts", role="input", schema="service_contact.v1", kind="service_contact", retention_days=365
)
SURVEYS = Topic(name="surveys", role="input", schema="survey_response.v1", kind="survey_response", retention_days=365)
OUTCOMES = Topic(
    name="alert-outcomes", role="input", schema="alert_outcome.v1", kind="alert_outcome", retention_days=365
)
ALERTS = Topic(name="churn-alerts", role="output", schema="churn_alert.v1", retention_days=365)
STATES = Topic(name="customer-states", role="state", schema="customer_state.v2", compacted=True)
DEAD_LETTERS = Topic(
    name="dead-letters",
    role="output",
    schema="the original bytes",
    retention_days=90,
    max_record_bytes=MAX_RECORD_BYTES + 1024 * 1024,
)
SUPPRESSED = Topic(name="suppressed", role="list", schema="suppression.v1", compacted=True)
"""Who was erased, by the SHA-256 of the id. The list stands in every partition: a foreign producer may put a customer's
events into any, and another customer's events may name them; so the worker of every partition has to apply it."""

WEBHOOK_PENDING = Topic(
    name="webhook-pending",
    role="state",
    schema="webhook_pending.v1",
    compacted=True,
    key="endpoint and message",
    per="delivery",
)
"""What the notifiers still have to deliver, by endpoint and message, in the partition of the alert: their memory."""
WEBHOOK_ATTEMPTS = Topic(
    name="webhook-attempts", role="output", schema="webhook_attempt.v1", key="alert_id", retention_days=30
)
"""Every attempt to deliver a message, in the partition of its alert; names no customer."""

INPUTS = (PURCHASES, CONTACTS, SURVEYS, OUTCOMES)
TOPICS = (*INPUTS, ALERTS, STATES, DEAD_LETTERS, SUPPRESSED)
"""What a sink writes into the warehouse."""
WEBHOOK_TOPICS = (WEBHOOK_PENDING, WEBHOOK_ATTEMPTS)
"""What only notifiers read and write."""
EVERY_TOPIC = (*TOPICS, *WEBHOOK_TOPICS)
BY_NAME = {topic.name: topic for topic in EVERY_TOPIC}
