"""The true churn model of the synthetic customers, on record so that an estimate can be compared with it.

::

    logit(hazard) = intercept + sum of coefficient x term [+ call, when the desk called]

The hazard is the chance that a customer never buys again because of one issue. It is decided once, a day after the last
contact about the issue ended, from what the customer went through until then. Who leaves buys no more. What customers
say in surveys comes from the same effort and has no influence of its own: it is a symptom.

The desk of the simulation calls about alerts that the product raised, where the hazard without a call reaches
``call_from``, within that day;
a share of these customers, drawn from their ids as the product does it, is held out, and nobody calls.

The terms are those of :mod:`pipeline.core.risk.terms` with the same names, counted here a second
time and on their own. The coefficients are not its priors, so that finding them again says something. Synthetic, all
of it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import exp, log1p
from typing import Literal, NamedTuple

from pipeline.core.risk.alerts import alert_id

Arm = Literal["not told", "called", "held out"]
"""What the desk did about an issue: it never heard of it, it called, or it was not to call."""
MONTH = timedelta(days=30)
DECIDES_AFTER = timedelta(days=1)
"""How long after the end of the last contact a customer decides; a call comes within that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The hidden truth: what moves the hazard, in logits per unit of the term, and what the desk does.

    A customer without any effort is as likely to leave after an issue as after a purchase without one: intercept and
    buffer are near the logit of the mean drop-out of customers with so many purchases (:data:`population.DROPOUT`).
    """

    intercept: float = -1.3
    prior_purchases: float = -0.65  # times log(1 + repeat purchase days): a buffer
    repeat_contact: float = 0.3  # per further contact on the issue within 30 days, at most 4
    transfer: float = 0.45  # per transfer, at most 4
    channel_switch: float = 0.5  # per further channel, at most 3
    information_repeated: float = 0.5
    unresolved: float = 1.5
    cancellation: float = 1.1
    earlier_complaint: float = 1.0  # times exp(-days / 30), for each earlier issue with a complaint
    call: float = -1.0  # a call of the desk
    call_from: float = 0.35
    """The desk calls about alerts where the hazard without a call is at least this."""
    held_out: float = 0.2
    """Share of the customers whom nobody calls, where the product's policy holds out nobody."""
    salt: str = ""


TERMS = (
    "prior_purchases",
    "repeat_contact",
    "transfer",
    "channel_switch",
    "information_repeated",
    "unresolved",
    "cancellation",
    "earlier_complaint",
)
"""The terms of the hazard but the intercept and the call, in the order of :attr:`IssueTruth.values`."""
HIDDEN = Hidden()


class Felt(NamedTuple):
    """What a customer went through in one contact."""

    opened: datetime
    ended: datetime
    channel: str
    kind: str
    transfers: int
    information_repeated: bool
    solved: bool


@dataclass(frozen=True, slots=True)
class IssueTruth:
    """What one issue really did."""

    issue_id: str
    alert_id: str
    decided_at: datetime
    contacts: int
    values: tuple[float, ...]
    """The number of each of :data:`TERMS` that its coefficient is multiplied with."""
    unaided: float
    """The hazard when nobody calls."""
    arm: Arm
    hazard: float
    """The hazard after what the desk did."""
    left: bool


@dataclass(frozen=True, slots=True)
class Life:
    """The truth about one customer. ``left_at`` can lie after the last simulated day; ``None``: never left by then."""

    customer_id: str
    issues: tuple[IssueTruth, ...]
    left_at: datetime | None
    because: Literal["issue", "unprompted"] | None


def went_through(
    contacts: Sequence[Felt], bought_days: int, complaints: Sequence[datetime], at: datetime
) -> tuple[float, ...]:
    """The values of :data:`TERMS` at ``at``, the end of the last of an issue's ``contacts``.

    ``bought_days`` counts the days with a purchase so far; ``complaints`` holds when the newest complaint of each
    earlier issue was opened.
    """
    recent = sum(contact.opened > at - MONTH for contact in contacts)
    return (
        log1p(max(0, bought_days - 1)),
        float(min(4, max(0, recent - 1))),
        float(min(4, sum(contact.transfers for contact in contacts))),
        float(min(3, len({contact.channel for contact in contacts}) - 1)),
        float(any(contact.information_repeated for contact in contacts)),
        float(not contacts[-1].solved),
        float(any(contact.kind == "cancellation" for contact in contacts)),
        sum(exp((opened - at) / MONTH) for opened in complaints),
    )


def settle(customer: str, issue: str, felt: tuple[float, ...], ended: datetime, draw: float, hidden: Hidden,
           contacts: int, *, told: bool, kept: bool) -> IssueTruth:  # fmt: skip
    """Decide what comes of an issue; ``draw`` in [0, 1) is the customer's luck.

    ``told`` says that the product raised an alert about it, ``kept`` that the customer is held out.
    """
    logit = hidden.intercept + sum(
        getattr(hidden, term) * value for term, value in zip(TERMS, felt, strict=True) if value
    )
    unaided, alert = _chance(logit), alert_id(customer, issue)
    arm: Arm = "not told"
    if told and unaided >= hidden.call_from:
        arm = "held out" if kept else "called"
    hazard = _chance(logit + hidden.call) if arm == "called" else unaided
    return IssueTruth(issue, alert, ended + DECIDES_AFTER, contacts, felt, unaided, arm, hazard, draw < hazard)


def _chance(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def as_model(hidden: Hidden) -> dict[str, object]:
    """The hidden model as a line of a truth file: its first."""
    return {"kind": "model", "synthetic": True, **asdict(hidden)}


def as_line(life: Life) -> dict[str, object]:
    """One customer as a line of a truth file; moments in RFC 3339."""
    return {
        "kind": "customer",
        "synthetic": True,
        "customer_id": life.customer_id,
        "left_at": life.left_at and _text(life.left_at),
        "because": life.because,
        "issues": [
            {
                "issue_id": issue.issue_id,
                "alert_id": issue.alert_id,
                "decided_at": _text(issue.decided_at),
                "contacts": issue.contacts,
                **{term: round(value, 6) for term, value in zip(TERMS, issue.values, strict=True)},
                "hazard_without_call": round(issue.unaided, 6),
                "arm": issue.arm,
                "hazard": round(issue.hazard, 6),
                "left": issue.left,
            }
            for issue in life.issues
        ],
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
