"""Records as rows. A row is a pure function of its record, so writing it again writes the same.

Records that are no valid events make no row: the worker sends them to ``dead-letters`` by the same rules.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.contract.currencies import to_amount, to_units
from pipeline.core.contract.decode import UNREADABLE, Decoder
from pipeline.core.contract.events import SCALES, AlertOutcome, Purchase, ServiceContact, SurveyResponse
from pipeline.core.contract.moments import milliseconds
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, decode_state
from pipeline.core.state.marks import is_piece
from pipeline.erasure.suppression_list import suppression_in
from pipeline.errors import BadEvent
from pipeline.kafka.dead_letters import errors_of
from pipeline.kafka.incarnations import is_ours
from pipeline.records import Record
from pipeline.sink import state_rows
from pipeline.topics import ERROR_HEADERS

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
MOST_KNOWN: Final = 200_000
"""Of how many customers the partition is remembered."""


class RowPlace(NamedTuple):
    """Where a record lies, with the number of partitions of its topic."""

    topic: str
    partition: int
    partitions: int


def moment(milliseconds: int | None) -> datetime | None:
    """Milliseconds since 1970 as a moment in UTC."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _log(place: RowPlace, record: Record) -> Row:
    return moment(record.appended_at_ms), place.topic, place.partition, record.offset


class Belongs:
    """Remembers to which partition customers belong; threads may share it."""

    def __init__(self) -> None:
        self._partitions, self._known = 0, dict[str, int]()

    def of(self, partitions: int) -> dict[str, int]:
        """The cache for topics of so many partitions, emptied when it is large; more may be noted there."""
        if partitions != self._partitions or len(self._known) > MOST_KNOWN:
            self._partitions, self._known = partitions, {}
        return self._known


class EventRows:
    """Rows of one kind of raw event."""

    def __init__(
        self, table: str, decoder: Decoder, columns: Callable[[Any], Row], belongs: Belongs | None = None
    ) -> None:
        self.table = table
        self._decoder = decoder
        self._columns = columns
        self._belongs = belongs or Belongs()

    def __call__(self, place: RowPlace, record: Record) -> list[tuple[str, Row]]:
        """The row of a record, or nothing when it is no valid event of this partition."""
        return [(self.table, row) for row in self.all_of(place, (record,))]

    def all_of(self, place: RowPlace, records: Sequence[Record]) -> list[Row]:
        """The rows of those records that are valid events of this partition."""
        rows: list[Row] = []
        topic, partition, partitions = place
        read, columns, known = self._decoder.read, self._columns, self._belongs.of(partitions)
        for offset, appended_at_ms, _, value, _ in records:
            try:
                event, unplanned = read(value, appended_at_ms)
            except BadEvent:
                continue
            customer_id = event.customer_id
            belongs = known.get(customer_id)
            if belongs is None:
                belongs = known[customer_id] = partition_of(customer_id.encode(), partitions)
            if belongs != partition:
                continue
            head = (event.event_id, customer_id, milliseconds(event.occurred_at))
            tail = (
                event.survey_consent or "",
                event.survey_consent_at,
                event.source or "",
                event.synthetic,
                event.backfill,
                (value or b"") if unplanned else b"",
                appended_at_ms,
                topic,
                partition,
                offset,
            )
            rows.append(head + columns(event) + tail)
        return rows


_NONE: Sequence[Any] = ()


def purchase(event: Purchase) -> Row:
    """The columns of a purchase that are its own; an amount that is a text stays the text it is."""
    lines, bindings = event.lines, event.bindings
    return (
        event.order_id,
        event.amount if isinstance(event.amount, str) else to_amount(to_units(event.amount)),
        event.currency,
        event.channel,
        [line.category for line in lines] if lines else _NONE,
        [line.quantity for line in lines] if lines else _NONE,
        event.incentivised,
        event.obligated,
        event.refund_of or "",
        [binding.kind for binding in bindings] if bindings else _NONE,
        [binding.ends_at for binding in bindings] if bindings else _NONE,
        [binding.notice_by for binding in bindings] if bindings else _NONE,
        event.programme_member,
        event.referred_by or "",
        event.promised_delivery_at,
        event.delivered_at,
    )


def contact(event: ServiceContact) -> Row:
    """The columns of a contact's stage that are its own."""
    return (
        event.contact_id,
        event.issue_id,
        event.stage,
        milliseconds(event.opened_at),
        event.closed_at,
        event.channel,
        event.kind,
        event.origin,
        event.resolved or event.stage == "resolved",
        event.waiting_seconds,
        event.transfers,
        event.promised_callback_at,
        event.self_service_first,
        event.information_repeated,
        event.called_back_at,
        event.promised_answer_at,
        event.answered_at,
    )


def survey(event: SurveyResponse) -> Row:
    """The columns of a survey answer that are its own."""
    low, high = SCALES.get(event.instrument) or (event.scale_min, event.scale_max)
    return (
        event.instrument,
        event.score,
        low,
        high,
        event.question_version or "",
        event.verbatim or "",
        event.contact_id or "",
        event.order_id or "",
    )


def outcome(event: AlertOutcome) -> Row:
    """The columns of an outcome that are its own."""
    return event.alert_id, event.action, event.result, event.reason or "", event.desk or "", event.note or ""


_alerts = msgspec.json.Decoder(ChurnAlert)


def alert(place: RowPlace, record: Record) -> list[tuple[str, Row]]:
    """A message to the desk: one row in the log of messages, one as the alert's newest state."""
    alert = _alerts.decode(record.value or b"")
    row = (
        alert.alert_id,
        alert.customer_id,
        alert.issue_id,
        alert.rule,
        alert.rule_version,
        alert.transition,
        alert.status,
        alert.severity,
        alert.churn_risk_0_1,
        alert.churn_risk_before_0_1,
        [c.term for c in alert.contributions],
        [c.logit for c in alert.contributions],
        alert.reasons,
        alert.recommended_action,
        alert.history,
        alert.contact_ids,
        alert.evidence,
        alert.held_out,
        alert.experiment,
        alert.backfill,
        alert.caused_by_event,
        alert.raised_at,
        alert.occurred_at,
        alert.synthetic,
        *_log(place, record),
    )
    return [("alert_messages", row), ("alert_states", row)]


def state(place: RowPlace, record: Record) -> list[tuple[str, Row]]:
    """The newest state of a customer, or their erasure; pieces of states are for workers alone and make no row."""
    if record.key is not None and is_piece(record.key):
        return []
    if record.value is None:
        customer, deleted = Customer(customer_id=(record.key or b"").decode()), 1
    else:
        customer, deleted = decode_state(record.value), 0
    row = (*state_rows.columns(customer), deleted, *_log(place, record))
    return [("customer_states", row)]


def dead_letter(place: RowPlace, record: Record) -> list[tuple[str, Row]]:
    """A rejected record with where it came from; records without our headers are not ours and make no row."""
    errors = errors_of(record.headers)
    if not {"topic", "partition", "offset", "reason"} <= errors.keys():
        return []
    partition, offset = int(errors["partition"]), int(errors["offset"])
    if not (0 <= partition < 2**16 and 0 <= offset < 2**63):
        raise ValueError("no place in a log")
    row = (
        errors["topic"],
        partition,
        offset,
        moment(int(errors.get("appended_at_ms", "0"))),
        errors["reason"],
        errors.get("detail", ""),
        errors.get("version", ""),
        record.key or b"",
        record.value or b"",
        [(k, v or b"") for k, v in record.headers if not k.startswith(ERROR_HEADERS)],
        *_log(place, record),
    )
    return [("dead_letters", row)]


def suppression(place: RowPlace, record: Record) -> list[tuple[str, Row]]:
    """An entry in the list of erased customers; nobody's where the key is no digest, or a topic's."""
    if is_ours(record.key):
        return []
    digest = (record.key or b"").decode()
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError("no digest")
    suppression = suppression_in(record.value)
    row = (
        (suppression.suppressed_at, suppression.reason, suppression.receipt_id) if suppression else (moment(0), "", "")
    )
    return [("suppressions", (digest, *row, *_log(place, record)))]


TABLES = (
    "raw_purchases",
    "raw_service_contacts",
    "raw_survey_responses",
    "raw_alert_outcomes",
    "alert_messages",
    "alert_states",
    "customer_states",
    "dead_letters",
    "suppressions",
)
"""Every table that records become rows of."""

FOREIGN = (ValueError, TypeError, AttributeError, OverflowError, *UNREADABLE)
"""The exceptions that a record of one of our own topics raises when somebody else wrote it; it makes no row."""

RowsOf = Callable[[RowPlace, Record], Sequence[tuple[str, Row]]]


def by_topic() -> dict[str, RowsOf]:
    """How each topic's records become rows; threads may share it."""
    belongs = Belongs()
    return {
        "purchases": EventRows("raw_purchases", Decoder("purchase"), purchase, belongs),
        "service-contacts": EventRows("raw_service_contacts", Decoder("service_contact"), contact, belongs),
        "surveys": EventRows("raw_survey_responses", Decoder("survey_response"), survey, belongs),
        "alert-outcomes": EventRows("raw_alert_outcomes", Decoder("alert_outcome"), outcome, belongs),
        "churn-alerts": alert,
        "customer-states": state,
        "dead-letters": dead_letter,
        "suppressed": suppression,
    }
