"""The fold: a customer and an event go in, the customer after it comes out.

``step`` never changes what it is given; it copies the customer once and replaces the containers it touches.
"""

from copy import copy
from hashlib import blake2b
from typing import NamedTuple, assert_never

from pipeline.core.affected import NONE, Affected, affected
from pipeline.core.alerts import reassess
from pipeline.core.attributes import attributed, consented, earliest, promises_of, prompted, says_more
from pipeline.core.currencies import to_units
from pipeline.core.customer import (
    ANSWERS_KEPT,
    CATEGORIES_KEPT,
    CONTACTS_KEPT,
    DAY_MS,
    MARK_BYTES,
    OUTCOMES_KEPT,
    RECENT_IDS,
    Answer,
    Contact,
    Customer,
    Outcome,
    with_occasion,
)
from pipeline.core.events import SCALES, AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.messages import ChurnAlert
from pipeline.core.moments import day, milliseconds
from pipeline.core.risk import PRIORS, RiskPolicy
from pipeline.errors import BadEvent, Reason

MOST_UNITS = 2**63
"""A customer's total per currency stays below this: it is kept as a 64-bit integer."""
NEVER = 2**63
TICK = "tick:"
"""How the cause of a message begins that time alone has caused."""


class Where(NamedTuple):
    """Where a record lies: its topic's logical name and its offset. The partition follows from the key."""

    topic: str
    offset: int


class Step(NamedTuple):
    """What one event did: the customer after it, alerts to tell, and what kind of news it was."""

    customer: Customer
    alerts: tuple[ChurnAlert, ...] = ()
    redelivered: bool = False
    duplicate: bool = False


Applied = tuple[Customer, Affected, bool, bool]
"""A customer's facts after an event, which issues have to be looked at again because of it, whether it was a redelivery
or a duplicate; a plain tuple, for there are many."""


def mark(event_id: str) -> bytes:
    """64 bits that stand for an event id among a customer's recent ones."""
    return blake2b(event_id.encode(), digest_size=MARK_BYTES).digest()


def is_recent(marked: bytes, recent: bytes) -> bool:
    """Whether a mark is among the recent ones; bytes that only look like it across two marks do not count."""
    found = recent.find(marked)
    while found >= 0 and found % MARK_BYTES:
        found = recent.find(marked, found + 1)
    return found >= 0


def step(customer: Customer, event: Event, where: Where, policy: RiskPolicy = PRIORS) -> Step:
    """Apply one event to one customer and look again at the issues it concerns: :func:`apply` and :func:`look_again`.

    Raises
    ------
    BadEvent
        The customer's total money would no longer fit into the state.
    """
    after, concerned, redelivered, duplicate = apply(customer, event, where.topic, where.offset)
    if concerned.nothing:
        return Step(after, (), redelivered, duplicate)
    return Step(after, look_again(after, concerned, event.event_id, policy))


def apply(customer: Customer, event: Event, topic: str, offset: int) -> Applied:
    """Add the facts of one event to one customer; what the desk should hear is not looked at yet.

    A record at or below the customer's applied offset of that topic is a redelivery and changes nothing. An event id
    seen among the customer's recent ones is a duplicate and changes nothing but the applied offset.

    Raises
    ------
    BadEvent
        The customer's total money would no longer fit into the state.
    """
    if offset <= customer.applied.get(topic, -1):
        return customer, NONE, True, False
    after = copy(customer)
    after.applied = {**customer.applied, topic: offset}
    marked = mark(event.event_id)
    if is_recent(marked, customer.recent):
        return after, NONE, False, True
    after.recent = customer.recent[-(RECENT_IDS - 1) * MARK_BYTES :] + marked
    at = milliseconds(event.occurred_at)
    _fold(after, event, at)
    return after, affected(customer, after, event, at) if after.contacts else NONE, False, False


def tick(customer: Customer, at: int, policy: RiskPolicy = PRIORS) -> Step:
    """Look again at a customer's open alerts because time has passed until ``at`` (milliseconds): the only other input.

    A later tick takes the place of an earlier one, so a state is a function of its events and its last tick. Time alone
    eases, escalates or ends an open alert; it raises none.
    """
    concerned = frozenset(alert.issue_id for alert in customer.alerts if alert.status == "open")
    if at <= customer.looked_at or not concerned:
        return Step(customer)
    after = copy(customer)
    after.looked_at = at
    return Step(after, look_again(after, Affected(concerned), f"{TICK}{day(at)}", policy))


def look_again(after: Customer, concerned: Affected, cause: str, policy: RiskPolicy = PRIORS) -> tuple[ChurnAlert, ...]:
    """The alerts of a customer whose facts changed, brought up to date in ``after``; returns what is news.

    Looking again once after several events says the same as after each of them, but for the steps in between.
    """
    return reassess(after, cause, policy, issues=concerned.issues, since=concerned.since)


def _fold(after: Customer, event: Event, at: int) -> None:
    after.events += 1
    after.synthetic_events += event.synthetic
    after.last_event_at = max(after.last_event_at, at)
    if event.survey_consent is not None:
        consented(after, event)
    match event:
        case Purchase():
            _purchased(after, event, at)
        case ServiceContact():
            _contacted(after, event, at)
        case SurveyResponse():
            _surveyed(after, event, at)
        case AlertOutcome():
            _followed_up(after, event, at)
        case _:
            assert_never(event)


def _purchased(after: Customer, event: Purchase, at: int) -> None:
    units = to_units(event.amount)
    if says_more(event):
        attributed(after, event, at)
    if event.refund_of is not None:
        after.refunds += 1
        after.refunded = _paid(after.refunded, event.currency, -units)
        return
    after.purchases += 1
    after.spent = _paid(after.spent, event.currency, units)
    after.channels = _added(after.channels, event.channel, 1)
    after.incentivised += event.incentivised
    after.obligated += event.obligated
    after.first_purchase_at = at if after.first_purchase_at is None else min(after.first_purchase_at, at)
    after.last_purchase_at = at if after.last_purchase_at is None else max(after.last_purchase_at, at)
    if not event.obligated:
        with_occasion(after, at // DAY_MS)
        if event.incentivised:
            prompted(after, at)
    if event.lines:
        after.categories = _categories(after.categories, event, at)


def _paid(sums: dict[str, int], currency: str, units: int) -> dict[str, int]:
    total = _added(sums, currency, units)
    if total[currency] >= MOST_UNITS:
        raise BadEvent(Reason.OUT_OF_RANGE, "the customer's total in $.currency would no longer fit")
    return total


def _added(sums: dict[str, int], key: str, amount: int) -> dict[str, int]:
    return {**sums, key: sums.get(key, 0) + amount}


def _categories(known: dict[str, int], event: Purchase, at: int) -> dict[str, int]:
    """Categories with the moment each was first bought; of too many, those bought first stay."""
    for line in event.lines:
        if at < known.get(line.category, NEVER):
            break
    else:
        return known
    merged = dict(known)
    for line in event.lines:
        merged[line.category] = min(at, merged.get(line.category, at))
    kept = sorted(merged.items(), key=lambda item: (item[1], item[0]))[:CATEGORIES_KEPT]
    return dict(kept)


def _contacted(after: Customer, event: ServiceContact, at: int) -> None:
    after.contact_events += 1
    stage = Contact(
        opened_at=milliseconds(event.opened_at),
        contact_id=event.contact_id,
        issue_id=event.issue_id,
        last_at=at,
        last_event=event.event_id,
        channel=event.channel,
        kind=event.kind,
        origin=event.origin,
        resolved=event.resolved or event.stage == "resolved",
        waiting_seconds=event.waiting_seconds,
        transfers=event.transfers,
        information_repeated=event.information_repeated,
        self_service_first=event.self_service_first,
        events=1,
        synthetic=event.synthetic,
        promises=promises_of(event),
        backfill=event.backfill,
    )
    others = [known for known in after.contacts if known.contact_id != event.contact_id]
    same = [known for known in after.contacts if known.contact_id == event.contact_id]
    merged = _merged(same[0], stage) if same else stage
    after.contacts = sorted([*others, merged], key=lambda c: (c.opened_at, c.contact_id))[-CONTACTS_KEPT:]


def _merged(one: Contact, other: Contact) -> Contact:
    """Two accounts of the same contact: the newest stage wins, effort only adds up. Commutative and associative."""
    older, newer = sorted((one, other), key=lambda c: (c.last_at, c.last_event))
    merged = copy(newer)
    merged.opened_at = min(older.opened_at, newer.opened_at)
    merged.waiting_seconds = max(older.waiting_seconds, newer.waiting_seconds)
    merged.transfers = max(older.transfers, newer.transfers)
    merged.information_repeated = older.information_repeated or newer.information_repeated
    merged.self_service_first = older.self_service_first or newer.self_service_first
    merged.events = older.events + newer.events
    merged.synthetic = older.synthetic or newer.synthetic
    merged.promises = earliest(older.promises, newer.promises)
    merged.backfill = older.backfill and newer.backfill
    return merged


def _surveyed(after: Customer, event: SurveyResponse, at: int) -> None:
    low, high = SCALES.get(event.instrument) or (event.scale_min or 0, event.scale_max or 0)
    answer = Answer(at, event.event_id, event.instrument, event.score, low, high, event.contact_id, event.backfill)
    after.survey_answers += 1
    after.answers = sorted([*after.answers, answer], key=_moment)[-ANSWERS_KEPT:]
    known = after.latest.get(event.instrument)
    if known is None or _moment(known) < _moment(answer):
        after.latest = dict(sorted({**after.latest, event.instrument: answer}.items()))


def _followed_up(after: Customer, event: AlertOutcome, at: int) -> None:
    outcome = Outcome(at, event.event_id, event.alert_id, event.action, event.result)
    newest: dict[str, Outcome] = {}
    for known in sorted([*after.outcomes, outcome], key=_moment):
        newest[known.alert_id] = known
    after.outcomes = sorted(newest.values(), key=_moment)[-OUTCOMES_KEPT:]


def _moment(fact: Answer | Outcome) -> tuple[int, str]:
    return fact.at, fact.event_id
