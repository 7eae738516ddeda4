"""A small firm whose every event is known: written by hand and simulated, some produced twice, some late.

The events go through the worker's fold and the sink's rows into an engine, so everything behind a question is real;
what the answers are compared with (:mod:`tests.questions.expected`) reads nothing but the list of events.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson

from pipeline.config import Settings
from pipeline.core.contract.decode import EVENTS
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.holdout import Experiment
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, encode_state
from pipeline.records import Record
from pipeline.simulate import population
from pipeline.simulate.service import Sent
from pipeline.sink.rows import RowPlace, by_topic
from pipeline.topics import BY_NAME
from pipeline.warehouse import model_registry
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.own_columns import columns
from tests.core.forecast.test_learned import LEARNED
from tests.storing import migrated

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2025, 12, 31, 12, tzinfo=UTC)
"""The newest event of all."""
FOOD = ("wine", "cheese", "bread")
TRIAL = Experiment("trial", milliseconds(START) + 150 * 86_400_000, 0.4)
POLICY = replace(PRIORS, holdout=0.3, experiments=(TRIAL,))
"""Alerts of the first 150 days are held out one by one, later ones by customer."""


@dataclass(frozen=True)
class World:
    """A firm in a warehouse, and the events it was made of: each once, as they arrived, with their topics."""

    settings: Settings
    events: list[Sent]
    alerts: list[ChurnAlert]
    """What the desk was told, in order."""

    def of(self, topic: str) -> list[dict[str, Any]]:
        """The events of a topic, each once."""
        return [event for name, event in self.events if name == topic]


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """The firm, loaded into a database of its own."""
    log = arrivals()
    with migrated(directory) as (settings, warehouse):
        records = worked(log)
        load(warehouse, records)
        model_registry.record(warehouse, model_registry.of_purchases(LEARNED), END)
        told = [msgspec.json.decode(record.value or b"", type=ChurnAlert) for record in records["churn-alerts"]]
        yield World(settings, once(log), told)


# --- the events


def arrivals() -> list[Sent]:
    """All records in the order in which they arrive: every ninth event comes twice, every seventh comes late."""
    events = population.in_time_order([*simulated(), *by_hand()])
    late = [(number + (40 if number % 7 == 0 else 0), number) for number in range(len(events))]
    ordered = [events[number] for _, number in sorted(late)]
    return [event for number, event in enumerate(ordered) for _ in range(2 if number % 9 == 0 else 1)]


def once(log: list[Sent]) -> list[Sent]:
    """Each event once: of a customer's records with the same event id, the first that arrived."""
    first: dict[tuple[str, str], Sent] = {}
    for topic, event in log:
        first.setdefault((str(event["customer_id"]), str(event["event_id"])), (topic, event))
    return list(first.values())


def simulated() -> list[Sent]:
    """Two years of a synthetic population."""
    return population.simulated(260, 720, 7, START.date())


def by_hand() -> list[Sent]:
    """Lives that the simulation does not tell: bound, abroad, refunded, not yet there."""
    return [*_bound(), *_abroad(), *_prospects(), *_regulars(), *_surveyed(), *_troubled()]


def event(topic: str, customer: str, name: str, at: datetime, **fields: object) -> Sent:
    """An event with what every event needs."""
    return topic, {
        "event_id": f"{customer}-{name}", "customer_id": customer, "occurred_at": moment(at),
        **fields,
    }  # fmt: skip


def moment(at: datetime) -> str:
    """A moment as a source would write it."""
    return at.isoformat().replace("+00:00", "Z")


def bought(customer: str, name: str, at: datetime, amount: str = "20.00", **fields: object) -> Sent:
    """A purchase in euros on the web, unless said otherwise."""
    return event("purchases", customer, name, at,
                 **{"order_id": name, "amount": amount, "currency": "EUR", "channel": "web"} | fields)  # fmt: skip


def day(number: int, hour: int = 9) -> datetime:
    """A moment on a day of the firm."""
    return START + timedelta(days=number, hours=hour)


def _bound() -> Iterator[Sent]:
    """Ten customers under contracts that end in different months; every second complains that it is hard."""
    for number in range(10):
        customer = f"bound-{number}"
        ends = END + timedelta(days=20 + 45 * number)
        binding: dict[str, object] = {"kind": "contractual", "ends_at": ends.isoformat()}
        if number % 3:
            binding["notice_by"] = (ends - timedelta(days=30)).isoformat()
        yield bought(customer, "first", day(20 + number), amount=f"{10 + number}.50", bindings=[binding])
        for month in range(3, 20, 4):
            yield bought(customer, f"renewal-{month}", day(30 * month + number), obligated=True)
        if number % 4 == 3:
            yield bought(customer, "machine", day(400 + number), bindings=[{"kind": "technical"}])
        if number % 2:
            yield event("surveys", customer, "nps", day(500 + number), instrument="nps", score=number % 4)
            yield event("surveys", customer, "ces", day(500 + number), instrument="ces2", score=1 + number % 3)
        else:
            yield event("surveys", customer, "nps", day(500 + number), instrument="nps", score=9)
    yield bought("free-again", "first", day(5), bindings=[{"kind": "contractual", "ends_at": day(300).isoformat()}])
    yield event("surveys", "free-again", "nps", day(310), instrument="nps", score=2)


def _abroad() -> Iterator[Sent]:
    """Customers who pay in dollars, in both, and one who got everything back."""
    for number in range(8):
        customer = f"abroad-{number}"
        for turn in range(number + 1):
            currency = "USD" if number % 3 or turn % 2 else "EUR"
            yield bought(customer, f"p{turn}", day(40 * turn + 7 * number), amount=f"{15 + 9 * turn}.99",
                         currency=currency, channel="store",
                         lines=[{"category": FOOD[(number + turn) % 3], "quantity": 1 + turn}])  # fmt: skip
    yield bought("regret", "p1", day(100), amount="80.00")
    yield bought("regret", "r1", day(103), amount="-80.00", refund_of="p1")


def _prospects() -> Iterator[Sent]:
    """People who ask or answer and never bought."""
    for number in range(4):
        yield call(f"prospect-{number}", "k1", "i1", day(60 + number), origin="website", stage="resolved")
        yield event("surveys", f"prospect-{number}", "nps", day(61 + number), instrument="nps", score=7 + number)


def _regulars() -> Iterator[Sent]:
    """Who comes every month until the end, for a year and for two; some for small change."""
    for number in range(12):
        start = 10 + number if number % 2 else 500 + number
        for turn, at in enumerate(range(start, 729, 28)):
            yield bought(f"regular-{number}", f"p{turn}", day(at), amount="3.10" if number % 4 == 0 else "43.00",
                         currency="USD", incentivised=turn % 5 == 0,
                         lines=[{"category": ("wine", "tea")[turn % 2], "quantity": 1}])  # fmt: skip
        yield event("surveys", f"regular-{number}", "nps", day(700 + number), instrument="nps", score=6 + number % 5,
                    order_id="p3")  # fmt: skip


def _surveyed() -> Iterator[Sent]:
    """Who answers again and changes their mind; whose answer about ease is on the old scale."""
    for number in range(6):
        customer = f"surveyed-{number}"
        yield bought(customer, "p1", day(200 + number))
        for turn in range(3):
            yield event("surveys", customer, f"nps-{turn}", day(210 + 90 * turn), instrument="nps",
                        score=(number * 3 + turn * 4) % 11)  # fmt: skip
        yield call(customer, "k1", "i1", day(250 + number), channel="chat", origin="billing", stage="resolved")
        yield event("surveys", customer, "ces1", day(251 + number), instrument="ces1", score=1 + number % 5,
                    contact_id="k1")  # fmt: skip
        yield event("surveys", customer, "nps-k", day(251 + number), instrument="nps", score=number, contact_id="k1")


def call(customer: str, contact: str, issue: str, at: datetime, stage: str = "opened", **fields: object) -> Sent:
    """A contact by phone, unless said otherwise."""
    return event("service-contacts", customer, f"{contact}-{stage}", at + timedelta(minutes=stage != "opened"),
                 **{"contact_id": contact, "issue_id": issue, "opened_at": moment(at), "stage": stage,
                    "channel": "phone", "kind": "complaint", "origin": "delivery"} | fields)  # fmt: skip


def _troubled() -> Iterator[Sent]:
    """Every way an issue can go: solved, come back, called solved late, under a new number, still open to change."""
    for number in range(9):
        customer, at = f"troubled-{number}", day(300 + 3 * number)
        yield bought(customer, "p1", day(120 + number))
        yield bought(customer, "p2", day(250 + number))
        yield call(customer, "k1", "i1", at, transfers=number % 3, waiting_seconds=61.5)
        yield call(customer, "k1", "i1", at, stage="resolved", transfers=number % 2)
        if number % 3 == 0:
            yield call(customer, "k2", "i1", at + timedelta(days=5 + 3 * number), channel="email", origin="unknown",
                       information_repeated=True)  # fmt: skip
        if number % 3 == 1:
            yield call(customer, "k3", "i2", at + timedelta(days=4 + number), stage="resolved")
        if number % 4 == 1:
            yield bought(customer, "p3", day(330 + number))
    yield from _on_the_border()
    yield from _twice_in_trouble()
    for number in range(5):
        customer = f"fresh-{number}"
        yield bought(customer, "p1", day(690 + number))
        yield call(customer, "k1", "i1", day(705 + 5 * number), stage="resolved" if number % 2 else "opened",
                   origin="product")  # fmt: skip
    yield event("service-contacts", "fresh-9", "k1", END, contact_id="k1", issue_id="i1", opened_at=END.isoformat(),
                channel="web", kind="question", origin="other", stage="opened")  # fmt: skip


def _twice_in_trouble() -> Iterator[Sent]:
    """Two alerts each, half a year apart: one customer, one arm. The desk is done with the first, for some reason."""
    for number in range(10):
        customer = f"twice-{number}"
        for turn in range(3):
            yield bought(customer, f"p{turn}", day(20 + 40 * turn + number))
        for issue, start in (("i1", 130), ("i2", 310)):
            for turn in range(3):
                yield call(customer, f"{issue}-k{turn}", issue, day(start + 3 * turn + number), kind="cancellation",
                           transfers=3, information_repeated=turn > 0, origin="contract")  # fmt: skip
        reason = ("false_alarm", "solved_itself", "already_handled", "other", "")[number % 5]
        yield event("alert-outcomes", customer, "o1", day(140 + number), alert_id=alert_id(customer, "i1"),
                    action="none", result="not_needed", **({"reason": reason} if reason else {}))  # fmt: skip


def _on_the_border() -> Iterator[Sent]:
    """Contacts exactly 7 and 30 days after another, at the same moment as another, and a millisecond less."""
    for number, gap in enumerate((timedelta(days=7), timedelta(days=30), timedelta(0))):
        for name, after in (("on", gap), ("within", gap - timedelta(milliseconds=1) if gap else gap)):
            for issue, other in (("i1", "i1"), ("i1", "i2")):
                customer, at = f"border-{number}-{name}-{other}", day(350 + number)
                yield bought(customer, "p1", day(100))
                yield call(customer, "k1", issue, at, stage="resolved", origin="billing")
                yield call(customer, "k2", other, at + after, stage="resolved", origin="billing")


# --- into the warehouse


def worked(log: list[Sent]) -> dict[str, list[Record]]:
    """The records of every topic after a worker has seen the log."""
    customers: dict[str, Customer] = {}
    records: dict[str, list[Record]] = {topic: [] for topic in by_topic()}
    for topic, fields in log:
        kind = BY_NAME[topic].kind
        assert kind is not None
        value = orjson.dumps(fields)
        told = msgspec.json.decode(value, type=EVENTS[kind])
        known = customers.get(told.customer_id) or Customer(customer_id=told.customer_id)
        offset = len(records[topic])
        seen = milliseconds(max(told.occurred_at, START)) + 60_000
        records[topic].append(Record(offset, seen, told.customer_id.encode(), value, []))
        done = step(known, told, Where(topic, offset), POLICY)
        customers[told.customer_id] = done.customer
        for alert in done.alerts:
            place = len(records["churn-alerts"])
            records["churn-alerts"].append(
                Record(place, seen, told.customer_id.encode(), msgspec.json.encode(alert), [])
            )
        records["customer-states"].append(
            Record(len(records["customer-states"]), seen, told.customer_id.encode(), encode_state(done.customer), [])
        )
    return records


def load(warehouse: Warehouse, records: dict[str, list[Record]]) -> None:
    """Insert what the sink would: the rows of every record, a block per table."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for topic, rows_of in by_topic().items():
        for record in records[topic]:
            for table, row in rows_of(RowPlace(topic, 0, 1), record):
                rows.setdefault(table, []).append(row)
    for table, found in rows.items():
        warehouse.insert(table, columns(warehouse, table), found, f"world-{table}")
