"""What the aggregates must say, recomputed from the log with JSON: every event once, as its first record told it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipeline import kafka
from pipeline.sink import duplicates
from pipeline.topics import TOPICS
from pipeline.warehouse.client import connect
from tests.faults.field import Field
from tests.faults.oracle import Logged, parsed

Key = tuple[str, ...]
Sums = dict[Key, tuple[Decimal, ...]]
SCALES = {"nps": (0, 10), "ces1": (1, 5), "ces2": (1, 7)}
VIEWS = {
    "sales_by_day": ("day, channel, currency", "purchases, refunds, spent, refunded, net, customers"),
    "sales_by_day_and_category": (
        "day, category, channel, currency", "purchases, refunds, items, spent, refunded, net, customers"),
    "contacts_by_day": ("day, channel, origin, kind, stage", "events, resolved, round(waiting_seconds * 1000), "
                        "transfers, information_repeated, self_service_first"),
    "survey_answers_by_day": (
        "day, instrument, question_version, scale_min, scale_max, touchpoint",
        "answers, promoters, passives, detractors, top_two, score_sum, score_squares"),
    "alerts_by_day": ("day, rule, transition, severity, held_out", "messages"),
    "outcomes_by_day": ("day, action, result, desk", "outcomes"),
}  # fmt: skip


def check_sums(field: Field, records: Mapping[str, Sequence[Logged]], *, erased: bool = False) -> None:
    """Every view equals the recomputation, before and after repeats were written down; the audit finds nothing.

    Where a customer was ``erased``, the sets of customers, last in the rows of sales, remember one more.
    """
    wanted = expected(records)
    _compare(field, wanted, erased)
    warehouse = connect(field.settings)
    duplicates.search(warehouse, kafka.committed(field.settings, field.settings.group("sink"), TOPICS))
    warehouse.close()
    _compare(field, wanted, erased)
    wrong = field.rows("SELECT * FROM audit_aggregates WHERE difference != 0")
    assert not wrong, f"aggregates that did not count every row once: {wrong}"


def _compare(field: Field, wanted: Mapping[str, Sums], erased: bool) -> None:
    for view, (keys, sums) in VIEWS.items():
        found = {
            tuple(row["k"]): tuple(map(Decimal, row["v"]))
            for row in field.rows(f"SELECT array({_texts(keys)}) AS k, array({_texts(sums)}) AS v FROM {view}")
        }
        if erased and "customers" in sums:
            found = {key: _without_erased(row, wanted[view].get(key)) for key, row in found.items()}
        assert found == wanted[view], f"{view}: {_difference(found, wanted[view])}"


def _without_erased(row: tuple[Decimal, ...], wanted: tuple[Decimal, ...] | None) -> tuple[Decimal, ...]:
    more = row[-1] - wanted[-1] if wanted is not None else 0
    return (*row[:-1], row[-1] - more) if more in (0, 1) else row


def _texts(names: str) -> str:
    return ", ".join(f"toString({name})" for name in names.split(", "))


def _difference(found: Sums, wanted: Sums) -> str:
    keys = [key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)]
    return f"{len(keys)} rows differ, such as {keys[0]}: {found.get(keys[0])}, expected {wanted.get(keys[0])}"


def expected(records: Mapping[str, Sequence[Logged]]) -> dict[str, Sums]:
    """The rows of every view."""
    return {
        "sales_by_day": _sales(_events(records["purchases"]), by_category=False),
        "sales_by_day_and_category": _sales(_events(records["purchases"]), by_category=True),
        "contacts_by_day": _added(map(_contact, _events(records["service-contacts"]))),
        "survey_answers_by_day": _added(map(_answer, _events(records["surveys"]))),
        "alerts_by_day": _added(map(_alert, _messages(records["churn-alerts"]))),
        "outcomes_by_day": _added(map(_outcome, _events(records["alert-outcomes"]))),
    }


def _events(records: Sequence[Logged]) -> list[dict[str, Any]]:
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        event = parsed(record.value or b"")
        first.setdefault((event["customer_id"], event["event_id"]), event)
    return list(first.values())


def _messages(records: Sequence[Logged]) -> list[dict[str, Any]]:
    first: dict[Key, dict[str, Any]] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        told = json.loads(record.value or b"")
        names = ("customer_id", "alert_id", "transition", "status", "severity", "caused_by_event", "occurred_at")
        first.setdefault(tuple(told[name] for name in names), told)
    return list(first.values())


def _day(event: Mapping[str, Any]) -> str:
    return str(datetime.fromisoformat(event["occurred_at"]).astimezone(UTC).date())


def _added(rows: Iterator[tuple[Key, Sequence[Any]]]) -> Sums:
    groups: dict[Key, list[Sequence[Any]]] = defaultdict(list)
    for key, values in rows:
        groups[key].append(values)
    return {key: tuple(Decimal(sum(column)) for column in zip(*group, strict=True)) for key, group in groups.items()}


def _sales(events: Sequence[dict[str, Any]], *, by_category: bool) -> Sums:
    rows: list[tuple[Key, Sequence[Any]]] = []
    customers: dict[Key, set[str]] = defaultdict(set)
    for event in events:
        quantities = Counter[str]()
        for line in event.get("lines", []):
            quantities[line["category"]] += line.get("quantity", 1)
        refund, amount = event.get("refund_of") is not None, Decimal(str(event["amount"]))
        for category in (quantities or {"": 0}) if by_category else [None]:
            middle = [] if category is None else [category]
            key = (_day(event), *middle, event.get("channel", "other"), event["currency"])
            items = [] if category is None else [0 if refund else quantities[category]]
            money = (0, -amount, amount) if refund else (amount, 0, amount)
            rows.append((key, [int(not refund), int(refund), *items, *money]))
            customers[key] |= set() if refund else {event["customer_id"]}
    return {key: (*sums, Decimal(len(customers[key]))) for key, sums in _added(iter(rows)).items()}


def _contact(event: Mapping[str, Any]) -> tuple[Key, Sequence[Any]]:
    key = (_day(event), event["channel"], event.get("origin", "unknown"), event["kind"], event["stage"])
    resolved = event.get("resolved", False) or event["stage"] == "resolved"
    waited = round(Decimal(str(event.get("waiting_seconds", 0))) * 1000)
    return key, [1, resolved, waited, event.get("transfers", 0), event.get("information_repeated", False),
                 event.get("self_service_first", False)]  # fmt: skip


def _answer(event: Mapping[str, Any]) -> tuple[Key, Sequence[Any]]:
    name, score = event["instrument"], event["score"]
    low, high = SCALES.get(name) or (event["scale_min"], event["scale_max"])
    touchpoint = "contact" if event.get("contact_id") else "order" if event.get("order_id") else "none"
    nps = [score >= 9, score in (7, 8), score <= 6] if name == "nps" else [0, 0, 0]
    key = (_day(event), name, event.get("question_version") or "", str(low), str(high), touchpoint)
    return key, [1, *nps, score >= high - 1, score, score * score]


def _alert(told: Mapping[str, Any]) -> tuple[Key, Sequence[Any]]:
    held_out = "true" if told.get("held_out", False) else "false"
    return (_day(told), told["rule"], told["transition"], told["severity"], held_out), [1]


def _outcome(event: Mapping[str, Any]) -> tuple[Key, Sequence[Any]]:
    return (_day(event), event["action"], event["result"], event.get("desk") or ""), [1]
