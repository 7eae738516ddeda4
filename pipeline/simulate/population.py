"""A synthetic population, and synthetic service for the real CDNOW customers. Same seed, same bytes.

Purchases follow the "buy till you die" story of BG/NBD: each customer buys at a rate of their own and may drop out
after any purchase. After a purchase with a service problem the problem decides instead: see
:mod:`pipeline.simulate.truth`, which knows for every customer what really happened.
"""

from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain, pairwise
from random import Random

from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.simulate import cdnow
from pipeline.simulate.desk import holds_out, raised
from pipeline.simulate.service import Issue, Sent, busy_moment, called, follow, text
from pipeline.simulate.truth import HIDDEN, Felt, Hidden, IssueTruth, Life, settle, went_through

FIRST_DAY = date(2025, 1, 1)
CDNOW_END = datetime(1998, 6, 30, 23, 59, 59, tzinfo=UTC)
CATEGORIES = ("books", "music", "films", "games", "electronics", "home", "toys", "garden")

DROPOUT = (0.8, 2.4)
"""Beta distribution of the chance to drop out after a purchase, near the published CDNOW estimate."""
PROBLEM_RATE = 0.08
HARD_SHARE = 0.4


def simulated(customers: int, days: int, seed: int, first_day: date = FIRST_DAY, hidden: Hidden = HIDDEN) -> list[Sent]:
    """Purchases, contacts, answers and calls of the desk of a synthetic population, oldest first."""
    return in_time_order(chain.from_iterable(lives(range(customers), days, seed, first_day, hidden)))


def truth(customers: int, days: int, seed: int, first_day: date = FIRST_DAY, hidden: Hidden = HIDDEN) -> Iterator[Life]:
    """What really happened to each customer that :func:`simulated` makes with the same arguments."""
    return (told(life)[1] for life in lives(range(customers), days, seed, first_day, hidden))


def lives(
    numbers: Iterable[int], days: int, seed: int, first_day: date, hidden: Hidden = HIDDEN, policy: RiskPolicy = PRIORS
) -> Iterator[Generator[Sent, None, Life]]:
    """The events of each customer of a population, by their numbers; each customer has a random source of their own.

    By ``policy`` the product raises alerts, and holds customers out: the desk calls about no others.
    """
    start = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    return (_life(number, seed, start, days, hidden, policy) for number in numbers)


def told(life: Generator[Sent, None, Life]) -> tuple[list[Sent], Life]:
    """The events of a life, and the truth about it."""
    events: list[Sent] = []
    while True:
        try:
            events.append(next(life))
        except StopIteration as end:
            return events, end.value


def _life(
    number: int, seed: int, start: datetime, days: int, hidden: Hidden, policy: RiskPolicy
) -> Generator[Sent, None, Life]:
    random = Random(f"{seed}/{number}")  # noqa: S311 - reproducible on purpose
    customer, until = f"sim-{seed}-{number:06d}", start + timedelta(days=days)
    gap_days = 1 / random.gammavariate(0.8, 1 / 25)
    dropout, basket = random.betavariate(*DROPOUT), random.lognormvariate(3.3, 0.5)
    at, count = start + timedelta(days=random.uniform(0, days * 0.7)), 0
    past = _Past()
    while at < until:
        at = min(busy_moment(random, at), until)
        count += 1
        name = f"{customer}-p{count}"
        yield past.noted(("purchases", _purchase(random, name, customer, at, basket)))
        past.bought.add(at.date())
        if random.random() < PROBLEM_RATE:
            issue = Issue(
                f"{name}-i", customer, at + timedelta(days=random.uniform(0.5, 5)), random.random() < HARD_SHARE
            )
            settled = yield from _issue(random, issue, until, past, hidden, policy)
            at = settled.decided_at
            if settled.left:
                return Life(customer, tuple(past.issues), at, "issue")
        elif random.random() < dropout:
            return Life(customer, tuple(past.issues), at, "unprompted")
        at += timedelta(days=min(random.expovariate(1 / gap_days), 3650))
    return Life(customer, tuple(past.issues), None, None)


class _Past:
    """What a customer looks back on."""

    def __init__(self) -> None:
        self.bought: set[date] = set()
        self.complaints: list[datetime] = []
        self.issues: list[IssueTruth] = []
        self.sent: list[Sent] = []

    def noted(self, sent: Sent) -> Sent:
        """An event that is sent now."""
        self.sent.append(sent)
        return sent


def _issue(
    random: Random, issue: Issue, until: datetime, past: _Past, hidden: Hidden, policy: RiskPolicy
) -> Generator[Sent, None, IssueTruth]:
    """An issue from its first contact to the customer's decision; who is treated shows in nobody else's luck."""
    contacts = yield from _noted(follow(random, issue, until), past)
    ended, draw = contacts[-1].ended, random.random()
    felt = went_through(contacts, len(past.bought), past.complaints, ended)
    call = called(random, issue.customer, alert_id(issue.customer, issue.name), issue.name, ended)
    alert = raised(past.sent, str(call[1]["alert_id"]), str(call[1]["occurred_at"]), policy)
    kept = alert is not None and holds_out(alert, issue.customer, hidden, policy)
    settled = settle(
        issue.customer, issue.name, felt, ended, draw, hidden, len(contacts), told=alert is not None, kept=kept
    )
    if settled.arm == "called" and str(call[1]["occurred_at"]) <= text(until):
        yield past.noted(call)
    past.issues.append(settled)
    past.complaints.extend([contact.opened for contact in contacts if contact.kind == "complaint"][-1:])
    return settled


def _noted(story: Generator[Sent, None, list[Felt]], past: _Past) -> Generator[Sent, None, list[Felt]]:
    while True:
        try:
            yield past.noted(next(story))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _purchase(random: Random, name: str, customer: str, at: datetime, basket: float) -> dict[str, object]:
    cents = max(1, round(random.gammavariate(4, basket / 4) * 100))
    lines = random.sample(CATEGORIES, random.choices((1, 2, 3), (70, 22, 8))[0])
    return {
        "event_id": name,
        "customer_id": customer,
        "occurred_at": text(at),
        "source": "simulation",
        "synthetic": True,
        "order_id": name,
        "amount": f"{cents // 100}.{cents % 100:02d}",
        "currency": "EUR",
        "channel": random.choices(("web", "app", "store"), (55, 25, 20))[0],
        "lines": [{"category": category, "quantity": random.choices((1, 2, 3), (80, 15, 5))[0]} for category in lines],
        "incentivised": random.random() < 0.2,
    }


def cdnow_service(seed: int) -> list[Sent]:
    """Synthetic contacts and answers for the real CDNOW customers, oldest first.

    The purchases are facts, so the story is told backwards: a purchase after which a customer fell silent is more
    likely to have been followed by a problem, and by a hard one.
    """
    return in_time_order(_cdnow_issues(seed))


def _cdnow_issues(seed: int) -> Iterator[Sent]:
    dates: dict[str, list[str]] = {}
    for row in cdnow.rows():
        dates.setdefault(row.customer, []).append(row.date)
    for customer, bought in dates.items():
        random = Random(f"{seed}/cdnow/{customer}")  # noqa: S311 - reproducible on purpose
        for number, (day, following) in enumerate(pairwise([*sorted(bought), ""]), start=1):
            silent = not following
            if random.random() < (0.1 if silent else 0.06):
                begins = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=random.uniform(1, 6))
                issue = Issue(
                    f"sim-{seed}-cdnow-{customer}-i{number}",
                    customer,
                    begins,
                    random.random() < (0.6 if silent else 0.2),
                )
                yield from follow(random, issue, CDNOW_END)


def in_time_order(events: Iterable[Sent]) -> list[Sent]:
    """Events by the moment they happened, then by their id."""
    return sorted(events, key=lambda sent: (str(sent[1]["occurred_at"]), str(sent[1]["event_id"])))
