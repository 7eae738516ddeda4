"""What must be in Kafka and ClickHouse, recomputed from the log alone.

Two accounts of the same log. ``reference`` is the single-threaded fold that defines the state: topic after topic, which
is an order no worker reads in. ``plain_totals`` does not use the product at all: JSON, sets and decimals.
"""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.fold import TICK, Where, look_again, step
from pipeline.core.risk.event_routes import ALL
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, decode_state
from pipeline.core.state.marks import is_piece
from pipeline.errors import BadEvent, Reason
from pipeline.kafka import headers_of
from pipeline.topics import ALERTS, APPLIED_HEADER, DEAD_LETTERS, ERROR_HEADERS, INPUTS, STATES, Topic

READ_SECONDS = 120.0
NOT_TOLD = ("transition", "caused_by_event")
"""What a message says about its way, not about the alert: it may differ with the order of arrival."""


class Logged(NamedTuple):
    """A record of the log."""

    partition: int
    offset: int
    appended_at_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]


Letter = tuple[str, int, int, str]
"""Topic, partition, offset and reason of a rejected record."""


@dataclass
class Expected:
    """What the log comes to."""

    customers: dict[bytes, Customer] = field(default_factory=dict)
    alerts: dict[str, ChurnAlert] = field(default_factory=dict)
    letters: set[Letter] = field(default_factory=set)
    valid: dict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))


class Folded(NamedTuple):
    """A log that was folded before, by the logical names of its topics, and what it came to."""

    records: Mapping[str, Sequence[Logged]]
    expected: Expected

    def rest(self, topic: str, records: Sequence[Logged]) -> list[Logged] | None:
        """What a longer log has behind this one, ``None`` when it does not begin with every record of this one."""
        known = {(r.partition, r.offset): (r.key, r.value) for r in self.records[topic]}
        rest = [r for r in records if known.get((r.partition, r.offset)) != (r.key, r.value)]
        return rest if len(rest) == len(records) - len(known) else None

    def copied(self, settings: Settings) -> Expected:
        """What was expected then, to go on from: a fold replaces customers and changes none."""
        known = self.expected
        letters = {(settings.topic(topic), n, offset, why) for topic, n, offset, why in known.letters}
        valid = defaultdict(set, {topic: set(places) for topic, places in known.valid.items()})
        return Expected(dict(known.customers), dict(known.alerts), letters, valid)


FOLDED: list[Folded] = []
"""Logs that need not be folded again where another begins with them. No more than a memory: records are compared."""


FORMER: dict[str, list[list[Logged]]] = {}
"""What lay in topics, by their names at the broker, before they were deleted: once for each time."""


def keep(settings: Settings, topic: Topic) -> None:
    """Remember what lies in a topic that is about to be deleted: what it came to stays."""
    FORMER.setdefault(settings.topic(topic.name), []).append(_logged(settings, topic))


def read_log(settings: Settings, topic: Topic) -> list[Logged]:
    """Every record of a topic and of former ones of its name, under the offsets that the product gives them."""
    logs = [*FORMER.get(settings.topic(topic.name), []), _logged(settings, topic)]
    return [r._replace(offset=number * 2**40 + r.offset) for number, log in enumerate(logs) for r in log]


def _logged(settings: Settings, topic: Topic) -> list[Logged]:
    """The records in a topic as it is now, under the broker's offsets."""
    reader = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": "oracle", "enable.auto.commit": False, "log_level": 2}
    )
    name = settings.topic(topic.name)
    try:
        ends = {}
        for partition in range(settings.partitions):
            low, high = reader.get_watermark_offsets(TopicPartition(name, partition), timeout=READ_SECONDS)
            if high > low:
                ends[partition] = high
        reader.assign([TopicPartition(name, partition, 0) for partition in ends])
        return _until_ends(reader, name, ends)
    finally:
        reader.close()


def _until_ends(reader: Consumer, name: str, ends: dict[int, int]) -> list[Logged]:
    found: list[Logged] = []
    deadline = time.monotonic() + READ_SECONDS
    while True:
        assert time.monotonic() < deadline, f"{name} could not be read to its end"
        positions = {p.partition: p.offset for p in reader.position([TopicPartition(name, p) for p in ends])}
        if all(positions[partition] >= end for partition, end in ends.items()):
            return found
        for m in reader.consume(5_000, 0.2):
            assert m.error() is None, m.error()
            headers = dict(headers_of(m))
            found.append(Logged(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), headers))


def reference(settings: Settings) -> Expected:
    """The fold over everything in the input topics, one topic after the other."""
    return _reference(settings, {topic.name: read_log(settings, topic) for topic in INPUTS})


def _reference(settings: Settings, logs: Mapping[str, Sequence[Logged]]) -> Expected:
    expected, logs = _begun(settings, logs)
    for topic in INPUTS:
        assert topic.kind is not None
        decoder = Decoder(topic.kind)
        for record in sorted(logs[topic.name], key=lambda r: (r.partition, r.offset)):
            try:
                _fold(expected, topic, record, decoder, settings.partitions)
            except BadEvent as bad:
                expected.letters.add((settings.topic(topic.name), record.partition, record.offset, bad.reason.value))
    return expected


def _begun(settings: Settings, logs: Mapping[str, Sequence[Logged]]) -> tuple[Expected, Mapping[str, Sequence[Logged]]]:
    """What the beginning of a log comes to, and its rest."""
    for folded in FOLDED:
        rests = {name: folded.rest(name, records) for name, records in logs.items()}
        found = {name: rest for name, rest in rests.items() if rest is not None}
        if len(found) == len(rests):
            return folded.copied(settings), found
    return Expected(), logs


def _fold(expected: Expected, topic: Topic, record: Logged, decoder: Decoder, partitions: int) -> None:
    event, _ = decoder(record.value, datetime.fromtimestamp(record.appended_at_ms / 1000, UTC))
    key = event.customer_id.encode()
    if partition_of(key, partitions) != record.partition:
        raise BadEvent(Reason.WRONG_PARTITION, "")
    before = expected.customers.get(key) or Customer(customer_id=event.customer_id)
    result = step(before, event, Where(topic.name, record.offset))
    expected.customers[key] = result.customer
    expected.alerts.update({alert.alert_id: alert for alert in result.alerts})
    expected.valid[topic.name].add((record.partition, record.offset))


def pass_time(expected: Expected, stored: dict[bytes, Customer]) -> None:
    """Time is no record: when a customer was last looked at because of it is taken from the state."""
    for key, customer in list(expected.customers.items()):
        looked_at = stored[key].looked_at if key in stored else 0
        if looked_at:
            customer = expected.customers[key] = copy(customer)  # noqa: PLW2901 - others may go on from it
            customer.looked_at = looked_at
            alerts = look_again(customer, ALL, f"{TICK}reference")
            expected.alerts.update({alert.alert_id: alert for alert in alerts})


def stored_states(settings: Settings) -> dict[bytes, Customer]:
    """The newest state of every customer in ``customer-states``."""
    newest = {record.key or b"": record.value for record in read_log(settings, STATES)}
    newest = {key: value for key, value in newest.items() if not is_piece(key)}
    return {key: decode_state(value) for key, value in newest.items() if value is not None}


def told_alerts(settings: Settings) -> dict[str, ChurnAlert]:
    """The newest message of every alert in ``churn-alerts``; what no worker wrote lacks a worker's header."""
    records = [record for record in read_log(settings, ALERTS) if APPLIED_HEADER in record.headers]
    messages = [msgspec.json.decode(record.value or b"", type=ChurnAlert) for record in records]
    return {message.alert_id: message for message in messages}


def told_letters(settings: Settings) -> set[Letter]:
    """The dead letters, each once."""
    letters = set()
    for record in read_log(settings, DEAD_LETTERS):
        ours = {
            k.removeprefix(ERROR_HEADERS): (v or b"") for k, v in record.headers.items() if k.startswith(ERROR_HEADERS)
        }
        said = {name: value.decode() for name, value in ours.items()}
        letters.add((said["topic"], int(said["partition"]), int(said["offset"]), said["reason"]))
    return letters


def plain(customer: Customer) -> dict[str, object]:
    """A state without the order of its recent ids, which is the order of arrival."""
    return {name: getattr(customer, name) for name in customer.__struct_fields__ if name not in {"recent", "moved"}}


def _content(alert: ChurnAlert) -> dict[str, object]:
    """What must be the same in whatever order the topics were read. Taken back is taken back, whenever that was."""
    if alert.status == "withdrawn":
        return {"alert_id": alert.alert_id, "status": alert.status}
    return {name: getattr(alert, name) for name in alert.__struct_fields__ if name not in NOT_TOLD}


def check_kafka(settings: Settings) -> Expected:
    """States, alerts and dead letters equal the reference; the plain account agrees. Returns what was expected."""
    logs = {topic.name: read_log(settings, topic) for topic in INPUTS}
    expected, stored = _reference(settings, logs), stored_states(settings)
    pass_time(expected, stored)
    check_states(stored, expected)
    check_alerts(told_alerts(settings), expected)
    told = told_letters(settings)
    assert told == expected.letters, f"dead letters: {sorted(told ^ expected.letters)[:5]}"
    check_totals(logs, stored, expected)
    return expected


def check_states(stored: dict[bytes, Customer], expected: Expected) -> None:
    """Every state, and the offsets applied to it, equal the reference."""
    assert stored.keys() == expected.customers.keys(), f"customers: {len(stored)}, expected {len(expected.customers)}"
    wrong = [key for key, customer in expected.customers.items() if plain(stored[key]) != plain(customer)]
    assert not wrong, (
        f"{len(wrong)} states differ, the first: {stored[wrong[0]]} expected {expected.customers[wrong[0]]}"
    )


def check_alerts(told: dict[str, ChurnAlert], expected: Expected) -> None:
    """What was said last about every alert is what the reference says; anything else was taken back."""
    missing = expected.alerts.keys() - told.keys()
    assert not {i for i in missing if expected.alerts[i].status != "withdrawn"}, f"{len(missing)} alerts were not told"
    orphans = [a for i, a in told.items() if i not in expected.alerts and a.status != "withdrawn"]
    assert not orphans, f"{len(orphans)} alerts stand that nobody should have heard of, the first: {orphans[0]}"
    wrong = [i for i in told.keys() & expected.alerts.keys() if _content(told[i]) != _content(expected.alerts[i])]
    assert not wrong, f"{len(wrong)} alerts differ: {told[wrong[0]]} expected {expected.alerts[wrong[0]]}"


@lru_cache(60_000)
def parsed(value: bytes) -> dict[str, Any]:
    """An event, for whoever does not change it; most were parsed for another test already."""
    event: dict[str, Any] = json.loads(value, parse_float=Decimal)
    return event


def plain_totals(records: Sequence[tuple[str, Logged]]) -> dict[str, dict[str, Any]]:
    """Customers' purchases, money, contact stages and answers, without a line of the product; valid records only."""
    seen: set[tuple[str, str, str]] = set()
    totals: dict[str, dict[str, Any]] = defaultdict(lambda: {"purchases": 0, "spent": Decimal(0), "contacts": 0,
                                                             "answers": 0})  # fmt: skip
    for topic, record in records:
        event = parsed(record.value or b"")
        if (event["customer_id"], topic, event["event_id"]) in seen:
            continue
        seen.add((event["customer_id"], topic, event["event_id"]))
        total = totals[event["customer_id"]]
        if topic == "purchases" and "refund_of" not in event:
            total["purchases"] += 1
            total["spent"] += Decimal(event["amount"])
        total["contacts"] += topic == "service-contacts"
        total["answers"] += topic == "surveys"
    return dict(totals)


def check_totals(logs: Mapping[str, Sequence[Logged]], states: Mapping[bytes, Customer], expected: Expected) -> None:
    """The plain account of the valid records agrees with the states in the log."""
    valid = [
        (topic.name, record)
        for topic in INPUTS
        for record in logs[topic.name]
        if (record.partition, record.offset) in expected.valid[topic.name]
    ]
    stored = {customer.customer_id: customer for customer in states.values()}
    for name, total in plain_totals(valid).items():
        customer = stored[name]
        said = {
            "purchases": customer.purchases,
            "spent": Decimal(sum(customer.spent.values())) / 10_000,
            "contacts": customer.contact_events,
            "answers": customer.survey_answers,
        }
        assert said == total, f"{name}: {said}, plainly counted {total}"
