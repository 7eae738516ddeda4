"""Generates what follows a purchase: problems, contacts about them, and survey answers. Synthetic.

The chain is that of the published figures (CEB; companies believe 76 % of issues solved, customers say 40 %): a problem
costs much or little effort; much effort means repeat contacts, transfers and saying it again; it shows in low ease,
in detractors, and in customers who fall silent.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pipeline.simulate.truth import Felt

Sent = tuple[str, dict[str, object]]
"""A topic and an event for it."""
ORIGINS = (("delivery", 30), ("product", 25), ("billing", 15), ("website", 15), ("service", 10), ("contract", 5))
CHANNELS = (("phone", 45), ("email", 25), ("chat", 20), ("web", 10))
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 17, 14, 15, 16, 16, 15, 13, 10, 8, 6, 4, 3, 2)
"""Arrival over the day: weight of each hour."""
WEEKDAYS = (22, 19, 17, 16, 14, 7, 5)
"""Arrival over the week, Monday first."""
SURVEY_RATE = 0.3
CONTACT_PATIENCE_DAYS = 6.0


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem after a purchase, and how much effort it will cost the customer."""

    name: str
    customer: str
    begins: datetime
    hard: bool


def text(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pick(random: Random, weighted: tuple[tuple[str, int], ...]) -> str:
    """One of the names, by weight."""
    return random.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]


def busy_moment(random: Random, around: datetime) -> datetime:
    """A moment on the day of ``around``, or on one of the days after it, when people call."""
    weights = [WEEKDAYS[(around.weekday() + ahead) % 7] for ahead in range(7)]
    decayed = [weight / (1 + ahead) for ahead, weight in enumerate(weights)]
    day = around + timedelta(days=random.choices(range(7), decayed)[0])
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hour = random.choices(range(24), HOURS)[0]
    return max(around, midnight + timedelta(hours=hour, seconds=random.randrange(3600)))


def follow(random: Random, issue: Issue, until: datetime) -> Generator[Sent, None, list[Felt]]:
    """The contacts and answers about an issue, none after ``until``; returns what all contacts felt like."""
    felt: list[Felt] = []
    kind = pick(random, (("complaint", 70), ("question", 20), ("repair", 10)))
    origin, channel = pick(random, ORIGINS), pick(random, CHANNELS)
    contacts = 1 + _repeats(random, hard=issue.hard)
    at = busy_moment(random, issue.begins)
    for number in range(1, contacts + 1):
        if number > 1 and random.random() < (0.45 if issue.hard else 0.1):
            channel = pick(random, CHANNELS)
        solved = number == contacts and random.random() < (0.55 if issue.hard else 0.95)
        name = f"{issue.name}-k{number}"
        contact: dict[str, Any] = {
            "contact_id": name,
            "issue_id": issue.name,
            "channel": channel,
            "kind": "cancellation" if issue.hard and number > 2 and random.random() < 0.25 else kind,
            "origin": origin,
            "opened_at": text(at),
            "waiting_seconds": round(random.lognormvariate(6.2 if issue.hard else 4.6, 0.7), 1),
            "transfers": random.choices((0, 1, 2, 3), (35, 35, 20, 10) if issue.hard else (88, 10, 2, 0))[0],
            "self_service_first": random.random() < 0.57,
            "information_repeated": number > 1 and random.random() < (0.7 if issue.hard else 0.2),
        }
        ended = at + timedelta(minutes=random.uniform(4, 60))
        yield from _stages(contact, issue.customer, (at, ended), solved=solved, until=until)
        felt.append(
            Felt(
                at,
                ended,
                channel,
                contact["kind"],
                contact["transfers"],
                contact["information_repeated"],
                solved,
            )
        )
        if random.random() < SURVEY_RATE:
            yield from _answers(random, contact, issue, at + timedelta(hours=random.uniform(2, 30)), until)
        at = busy_moment(random, at + timedelta(days=random.expovariate(1 / CONTACT_PATIENCE_DAYS) + 0.5))
    return felt


def _repeats(random: Random, *, hard: bool) -> int:
    repeats = 0
    while repeats < 5 and random.random() < (0.62 if hard else 0.12):
        repeats += 1
    return repeats


def _stages(
    contact: dict[str, Any], customer: str, lasted: tuple[datetime, datetime], *, solved: bool, until: datetime
) -> Iterator[Sent]:
    at, ended = lasted
    stages = [("opened", at), ("resolved" if solved else "updated", ended)]
    for stage, moment in stages:
        if moment <= until:
            event = _common(f"{contact['contact_id']}-{stage}", customer, moment) | contact | {"stage": stage}
            if stage != "opened":
                event |= {"closed_at": text(ended), "resolved": solved}
            yield "service-contacts", event


def _answers(random: Random, contact: dict[str, Any], issue: Issue, at: datetime, until: datetime) -> Iterator[Sent]:
    if at > until:
        return
    answers = {
        "ces2": _clamped(random.gauss(2.4 if issue.hard else 5.9, 1.2), 1, 7),
        "nps": _clamped(random.gauss(4.2 if issue.hard else 8.3, 2.0), 0, 10),
    }
    for instrument, score in answers.items():
        yield (
            "surveys",
            _common(f"{contact['contact_id']}-{instrument}", issue.customer, at)
            | {
                "instrument": instrument,
                "score": score,
                "contact_id": contact["contact_id"],
                "question_version": "1",
            },
        )


def _clamped(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))


def _common(event_id: str, customer: str, at: datetime) -> dict[str, object]:
    return {
        "event_id": event_id,
        "customer_id": customer,
        "occurred_at": text(at),
        "source": "simulation",
        "synthetic": True,
    }


def called(random: Random, customer: str, alert: str, issue: str, ended: datetime) -> Sent:
    """The desk's report of a call within a day after the end of a contact; what it believes came of it is no truth."""
    at = ended + timedelta(hours=random.uniform(0.5, 20))
    result = pick(random, (("retained", 65), ("in_progress", 20), ("not_needed", 15)))
    reason = {
        "retained": pick(random, (("problem_solved", 80), ("compensated", 20))),
        "not_needed": pick(random, (("false_alarm", 50), ("solved_itself", 35), ("already_handled", 15))),
    }.get(result)
    return "alert-outcomes", _common(f"{issue}-called", customer, at) | {
        "alert_id": alert,
        "action": "called",
        "result": result,
        **({"reason": reason} if reason else {}),
        "desk": "simulation",
    }
