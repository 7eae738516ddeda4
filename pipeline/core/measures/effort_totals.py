"""Effort by the origin of the problem: the efforts of issues added up, with shares and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.core.measures.effort import ContactEffort, FirstContact, IssueEffort
from pipeline.core.measures.intervals import Estimate, wilson
from pipeline.core.state.customer import DAY_MS


@dataclass(slots=True)
class EffortSums:
    """Issues with one origin, added up."""

    issues: int = 0
    synthetic: int = 0
    contacts: int = 0
    effortless: int = 0
    repeats_7_days: int = 0
    repeats_30_days: int = 0
    transfers: int = 0
    channel_switches: int = 0
    information_repetitions: int = 0
    reopenings: int = 0
    waiting_ms: int = 0
    self_service_first: int = 0
    called_solved: int = 0
    resolution_ms: int = 0
    first: dict[tuple[FirstContact, bool], int] = field(default_factory=dict)
    """Issues by what became of their first contact, and whether that is settled."""
    claims: int = 0
    """Settled issues whose first contact the agent calls solved."""

    def add(self, issue: IssueEffort) -> None:
        """Count one issue."""
        self.issues += 1
        self.synthetic += issue.synthetic
        self.effortless += issue.effortless
        self.self_service_first += issue.contacts[0].self_service_first
        for contact in issue.contacts:
            self._add_contact(contact)
        if issue.resolution_ms is not None:
            self.called_solved += 1
            self.resolution_ms += issue.resolution_ms
        became = issue.first.verdict, issue.first.settled
        self.first[became] = self.first.get(became, 0) + 1
        self.claims += issue.first.settled and issue.first.claimed

    def _add_contact(self, contact: ContactEffort) -> None:
        self.contacts += 1
        self.repeats_7_days += contact.repeat_7_days
        self.repeats_30_days += contact.repeat_30_days
        self.transfers += contact.transfers
        self.channel_switches += contact.channel_switched
        self.information_repetitions += contact.information_repeated
        self.reopenings += contact.reopened
        self.waiting_ms += round(contact.waiting_seconds * 1000)  # whole numbers add up the same in any order


@dataclass(frozen=True, slots=True)
class OriginEffort:
    """What problems with one origin cost the customers. Shares are of issues, with intervals; ``None`` of nothing."""

    origin: str
    issues: int
    synthetic_issues: int
    contacts: int
    contacts_per_issue: float
    first_contact_resolution: Estimate | None
    agents_claim: Estimate | None
    """Of the same issues, as the agents see it."""
    provisional: int
    """Issues whose window is still open and whose customer has not come back."""
    provisional_solved: int
    """Of these, called solved."""
    effortless: Estimate
    repeats_7_days_per_issue: float
    repeats_30_days_per_issue: float
    transfers_per_issue: float
    channel_switches_per_issue: float
    information_repetitions_per_issue: float
    reopenings_per_issue: float
    waiting_minutes_per_contact: float
    self_service_first: Estimate
    days_to_resolution: float | None
    called_solved: int


class EffortTotals:
    """Effort by the origin of the problem: cause first, and never by agent."""

    def __init__(self) -> None:
        self._origins: dict[str, EffortSums] = {}

    def add(self, issues: Sequence[IssueEffort]) -> None:
        """Count the issues of one customer."""
        for issue in issues:
            for origin in (issue.origin, "all"):
                self._origins.setdefault(origin, EffortSums()).add(issue)

    def result(self) -> list[OriginEffort]:
        """All issues, then those of each origin, the most frequent first."""
        ordered = sorted(self._origins.items(), key=lambda item: (item[0] != "all", -item[1].issues, item[0]))
        return [_effort_of(origin, sums) for origin, sums in ordered]


def _effort_of(origin: str, sums: EffortSums) -> OriginEffort:
    n = sums.issues
    settled = sum(count for (_, over), count in sums.first.items() if over)
    provisional_solved = sums.first.get(("solved", False), 0)
    return OriginEffort(
        origin=origin,
        issues=n,
        synthetic_issues=sums.synthetic,
        contacts=sums.contacts,
        contacts_per_issue=sums.contacts / n,
        first_contact_resolution=wilson(sums.first.get(("solved", True), 0), settled) if settled else None,
        agents_claim=wilson(sums.claims, settled) if settled else None,
        provisional=n - settled,
        provisional_solved=provisional_solved,
        effortless=wilson(sums.effortless, n),
        repeats_7_days_per_issue=sums.repeats_7_days / n,
        repeats_30_days_per_issue=sums.repeats_30_days / n,
        transfers_per_issue=sums.transfers / n,
        channel_switches_per_issue=sums.channel_switches / n,
        information_repetitions_per_issue=sums.information_repetitions / n,
        reopenings_per_issue=sums.reopenings / n,
        waiting_minutes_per_contact=sums.waiting_ms / sums.contacts / 60_000,
        self_service_first=wilson(sums.self_service_first, n),
        days_to_resolution=sums.resolution_ms / sums.called_solved / DAY_MS if sums.called_solved else None,
        called_solved=sums.called_solved,
    )
