"""The fold: takes a customer and an event, and returns the customer after that event.

``step`` never changes what it is given. ``apply`` is its first half for who folds many events into a customer of their
own: it changes that customer in place, and nothing where it raises.
"""

from copy import copy
from typing import Final, NamedTuple, assert_never

from pipeline.core.contract.currencies import to_units
from pipeline.core.contract.events import SCALES, AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.contract.moments import day, milliseconds
from pipeline.core.risk.alerts import reassess
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.risk.changed_issues import affected
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import (
    ANSWERS_KEPT,
    CATEGORIES_KEPT,
    CONTACTS_KEPT,
    DAY_MS,
    OUTCOMES_KEPT,
    Answer,
    Contact,
    Customer,
    Outcome,
    with_occasion,
)
from pipeline.core.state.marks import Older, is_recent, mark, remember, was_moved
from pipeline.core.state.profile_fold import attributed, consented, earliest, promises_of, prompted, says_more
from pipeline.errors import BadEvent, Reason

MOST_UNITS: Final = 2**63
"""A customer's total per currency stays below this: it is kept as a 64-bit integer."""
NEVER: Final = 2**63
TICK: Final = "tick:"
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


Applied = tuple[Customer, ChangedIssues | None, bool, bool]
"""The customer, which issues have to be looked at again because of the event (``None``: none), whether it was a
redelivery or a duplicate; a plain tuple, for there are many."""


def step(
    customer: Customer, event: Event, where: Where, policy: RiskPolicy = PRIORS, older: Older | None = None
) -> Step:
    """Apply one event to one customer and look again at the issues it concerns: :func:`apply` and :func:`look_again`.

    With ``older`` the customer stays bounded, and what leaves them goes there: the only thing that is changed in place.

    Raises
    ------
    BadEvent
        The customer's total money would no longer fit into the state.
    """
    if where.offset <= customer.applied.get(where.topic, -1):
        return Step(customer, redelivered=True)
    after, concerned, _, duplicate = apply(_own(customer), event, where.topic, where.offset, older)
    if concerned is None:
        return Step(after, duplicate=duplicate)
    return Step(after, look_again(after, concerned, event.event_id, policy))


def _own(customer: Customer) -> Customer:
    """A copy of a customer that shares nothing :func:`apply` changes in place."""
    after = copy(customer)
    after.applied = customer.applied.copy()
    after.spent = customer.spent.copy()
    after.refunded = customer.refunded.copy()
    after.channels = customer.channels.copy()
    after.categories = customer.categories.copy()
    return after


def apply(customer: Customer, event: Event, topic: str, offset: int, older: Older | None = None) -> Applied:
    """Add the facts of one event to a customer that is the caller's own; what the desk should hear is not looked at.

    A record at or below the customer's applied offset of that topic is a redelivery and changes nothing. An event that
    was counted before (:mod:`.state.marks`; ``older`` holds what has left the state) is a duplicate and changes nothing
    but the applied offset.

    Raises
    ------
    BadEvent
        The customer's total money would no longer fit into the state; the customer is as before.
    """
    applied = customer.applied
    if offset <= applied.get(topic, -1):
        return customer, None, True, False
    marked = mark(event)
    if is_recent(marked, customer.recent) or (customer.moved and was_moved(customer, event, marked, offset, older)):
        applied[topic] = offset
        return customer, None, False, True
    at = milliseconds(event.occurred_at)
    before = copy(customer) if customer.contacts else customer
    _fold(customer, event, at)
    applied[topic] = offset
    remember(customer, marked, older)
    return customer, affected(before, customer, event, at) if customer.contacts else None, False, False


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
    return Step(after, look_again(after, ChangedIssues(concerned), f"{TICK}{day(at)}", policy))


def look_again(
    after: Customer, concerned: ChangedIssues, cause: str, policy: RiskPolicy = PRIORS
) -> tuple[ChurnAlert, ...]:
    """The alerts of a customer whose facts changed, brought up to date in ``after``; returns what is news.

    Looking again once after several events says the same as after each of them, but for the steps in between.
    """
    return reassess(after, cause, policy, issues=concerned.issues, since=concerned.since)


def _fold(after: Customer, event: Event, at: int) -> None:
    match event:
        case Purchase():
            _purchased(after, event, at)  # the only one that can raise, and it does before it changes anything
        case ServiceContact():
            _contacted(after, event, at)
        case SurveyResponse():
            _surveyed(after, event, at)
        case AlertOutcome():
            _followed_up(after, event, at)
        case _:
            assert_never(event)
    after.events += 1
    if event.synthetic:
        after.synthetic_events += 1
    after.last_event_at = max(after.last_event_at, at)
    if event.survey_consent is not None:
        consented(after, event)


def _purchased(after: Customer, event: Purchase, at: int) -> None:
    units = to_units(event.amount)
    if event.refund_of is not None:
        _pay(after.refunded, event.currency, -units)
        after.refunds += 1
    else:
        _pay(after.spent, event.currency, units)
        _bought(after, event, at)
    if says_more(event):
        attributed(after, event, at)


def _pay(sums: dict[str, int], currency: str, units: int) -> None:
    total = sums.get(currency, 0) + units
    if total >= MOST_UNITS:
        raise BadEvent(Reason.OUT_OF_RANGE, "the customer's total in $.currency would no longer fit")
    sums[currency] = total


def _bought(after: Customer, event: Purchase, at: int) -> None:
    after.purchases += 1
    after.channels[event.channel] = after.channels.get(event.channel, 0) + 1
    if after.first_purchase_at is None or at < after.first_purchase_at:
        after.first_purchase_at = at
    if after.last_purchase_at is None or at > after.last_purchase_at:
        after.last_purchase_at = at
    if event.obligated:
        after.obligated += 1
    else:
        with_occasion(after, at // DAY_MS)
    if event.incentivised:
        after.incentivised += 1
        if not event.obligated:
            prompted(after, at)
    if event.lines:
        _categorise(after, event, at)


def _categorise(after: Customer, event: Purchase, at: int) -> None:
    """Categories with the moment each was first bought, in that order; of too many, those bought first stay."""
    known = after.categories
    names = [line.category for line in event.lines if at < known.get(line.category, NEVER)]
    if not names:
        return
    in_order = at > next(reversed(known.values()), -1)
    for name in sorted(names):
        known[name] = at
    if not in_order or len(known) > CATEGORIES_KEPT:
        kept = sorted(known.items(), key=lambda item: (item[1], item[0]))[:CATEGORIES_KEPT]
        after.categories = dict(kept)


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
    contacts: list[Contact] = []
    for known in after.contacts:
        if known.contact_id == stage.contact_id:
            stage = _merged(known, stage)
        else:
            contacts.append(known)
    in_order = not contacts or _opened(contacts[-1]) < _opened(stage)
    contacts.append(stage)
    after.contacts = (contacts if in_order else sorted(contacts, key=_opened))[-CONTACTS_KEPT:]


def _opened(contact: Contact) -> tuple[int, str]:
    return contact.opened_at, contact.contact_id


def _merged(one: Contact, other: Contact) -> Contact:
    """Two accounts of the same contact: the newest stage wins, effort only adds up. Commutative and associative."""
    in_order = (one.last_at, one.last_event) <= (other.last_at, other.last_event)
    older, newer = (one, other) if in_order else (other, one)
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
