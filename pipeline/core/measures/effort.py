"""What getting something solved cost the customer, from what happened; nobody has to be asked.

Rules
-----
- Effort is counted, not weighted: no trustworthy list of weights exists, so none is invented.
- Windows are half open: a contact exactly 7 days after another is no repeat within 7 days.
- First-contact resolution is what the customer does next. The agent's word for it is shown beside it and can make it
  only worse: a customer who stays silent about an issue that we ourselves call open was not helped.
- ``at`` is the moment (milliseconds) as of which one asks; contacts opened later are not seen.

Known weaknesses: a contact's stages are kept as one, so its transfers, waiting and the agent's word are those of its
newest stage, also when asked as of a moment between two stages. The newest 32 contacts of a customer are kept. Silence
can also be a customer who gave up: :mod:`pipeline.core.measures.shift` looks at that.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from pipeline.core.definition import Definition
from pipeline.core.state.customer import DAY_MS, Contact, Customer

WEEK_MS, MONTH_MS = 7 * DAY_MS, 30 * DAY_MS
ISSUE_WINDOW_MS = MONTH_MS
"""How long a further contact on the issue says that the first one did not solve it."""
ORIGIN_WINDOW_MS = WEEK_MS
"""How long a contact on another issue with the same origin is taken as the same problem under a new number."""
NO_ORIGIN = ("unknown", "other")
"""Origins that do not tell one problem from another."""

DEFINITIONS = (
    Definition("repeats_7_days", 1, "Contacts on an issue opened less than 7 days after the one before.", "contacts"),
    Definition("repeats_30_days", 1, "Contacts on an issue opened less than 30 days after the one before.", "contacts"),
    Definition("channel_switches", 1, "Contacts on an issue by another channel than the one before.", "contacts"),
    Definition("reopenings", 1, "Contacts on an issue opened after the one before had been called solved.", "contacts"),
    Definition("information_repetitions", 1, "Contacts in which the customer had to say it again.", "contacts"),
    Definition(
        "days_to_resolution", 1,
        "From opening an issue to the newest stage of its last contact, where that is called solved.", "days",
    ),
    Definition("effortless", 1, "One contact, not passed on, nothing said twice.", "share of issues"),
    Definition(
        "first_contact_resolution", 1,
        "The agent calls the first contact on an issue solved, and the customer opens no further one on it for 30 days "
        "and none on another issue with the same known origin for 7 days; provisional until 30 days are over.",
        "share of settled issues",
    ),
    Definition("agents_claim", 1, "The agent calls the first contact on an issue solved.", "share of settled issues"),
)  # fmt: skip


# --- a contact, an issue


class ContactEffort(NamedTuple):
    """What one contact cost, and what it says about the one before on the same issue."""

    contact_id: str
    repeat_7_days: bool
    repeat_30_days: bool
    transfers: int
    waiting_seconds: float
    information_repeated: bool
    channel_switched: bool
    reopened: bool
    self_service_first: bool


FirstContact = Literal["solved", "came_back", "left_open"]


class FirstResolution(NamedTuple):
    """What became of the first contact on an issue."""

    verdict: FirstContact
    settled: bool
    """Whether what the customer does from now on cannot change it."""
    settles_at: int
    """When the window closes, in milliseconds."""
    claimed: bool
    """Whether the agent calls it solved."""


class IssueEffort(NamedTuple):
    """What an issue cost so far. Counts are sums over its contacts."""

    issue_id: str
    origin: str
    opened_at: int
    contacts: tuple[ContactEffort, ...]
    first: FirstResolution
    resolution_ms: int | None
    """How long it took to be called solved; ``None`` while it is not."""
    synthetic: bool

    @property
    def effortless(self) -> bool:
        """One contact, not passed on, nothing said twice."""
        only = self.contacts[0]
        return len(self.contacts) == 1 and not only.transfers and not only.information_repeated


def issues(customer: Customer, at: int) -> list[IssueEffort]:
    """The effort of each issue of a customer as of ``at``, oldest first."""
    known = [contact for contact in customer.contacts if contact.opened_at <= at]
    by_issue: dict[str, list[Contact]] = {}
    for contact in known:
        by_issue.setdefault(contact.issue_id, []).append(contact)
    return [_issue(issue, known, at) for issue in by_issue.values()]


def _issue(issue: Sequence[Contact], known: Sequence[Contact], at: int) -> IssueEffort:
    first, last = issue[0], issue[-1]
    return IssueEffort(
        first.issue_id,
        origin_of(issue),
        first.opened_at,
        (_alone(first), *(_after(before, contact) for before, contact in pairwise(issue))),
        first_resolution(issue, known, at),
        last.last_at - first.opened_at if _claimed(last, at) else None,
        any(contact.synthetic for contact in issue),
    )


def origin_of(issue: Sequence[Contact]) -> str:
    """Where the problem comes from: the newest contact (they come oldest first) that knows."""
    return next((contact.origin for contact in reversed(issue) if contact.origin != "unknown"), "unknown")


def _alone(contact: Contact) -> ContactEffort:
    return ContactEffort(
        contact.contact_id,
        False,
        False,
        contact.transfers,
        contact.waiting_seconds,
        contact.information_repeated,
        False,
        False,
        contact.self_service_first,
    )


def _after(before: Contact, contact: Contact) -> ContactEffort:
    gap = contact.opened_at - before.opened_at
    return _alone(contact)._replace(
        repeat_7_days=gap < WEEK_MS,
        repeat_30_days=gap < MONTH_MS,
        channel_switched=contact.channel != before.channel,
        reopened=before.resolved and before.last_at < contact.opened_at,
    )


def _claimed(contact: Contact, at: int) -> bool:
    return contact.resolved and contact.last_at <= at


# --- what the customer did next


def first_resolution(issue: Sequence[Contact], known: Sequence[Contact], at: int) -> FirstResolution:
    """What became of the first contact of ``issue``, given all ``known`` contacts of the customer, as of ``at``.

    Coming back settles it at once; staying away does when the window closes, and then no contact changes it any more.
    What stays open to correction is the agent's word: a first contact that is called solved late was still enough.
    """
    first = issue[0]
    closes = first.opened_at + ISSUE_WINDOW_MS
    claimed = _claimed(first, at)
    if _came_back(first, issue[1:], known):
        return FirstResolution("came_back", True, closes, claimed)
    return FirstResolution("solved" if claimed else "left_open", at >= closes, closes, claimed)


def _came_back(first: Contact, again: Sequence[Contact], known: Sequence[Contact]) -> bool:
    if any(contact.opened_at < first.opened_at + ISSUE_WINDOW_MS for contact in again):
        return True
    return first.origin not in NO_ORIGIN and any(
        contact.issue_id != first.issue_id
        and contact.origin == first.origin
        and first.opened_at < contact.opened_at < first.opened_at + ORIGIN_WINDOW_MS
        for contact in known
    )
