"""The facts about one issue: gathered from the customer once, then seen as they were known at one moment.

:func:`risk_inputs` gathers; :class:`IssueSnapshot` computes what several terms of the risk share, in one pass over the
contacts. A term reads the snapshot, and for what only it needs the inputs and the contacts.
"""

from typing import Final, final

from pipeline.core.risk.inputs import RiskInputs
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, occasion_bits

MONTH_MS: Final = 30 * DAY_MS
PATIENCE_MS: Final = 30 * DAY_MS
"""How long after its last contact an answer that names no contact counts as given about an issue."""
NO_END: Final = 2**62
EFFORT_INSTRUMENTS: Final = ("ces1", "ces2")


def issues_of(contacts: list[Contact]) -> dict[str, list[Contact]]:
    """Contacts by the issue they are about."""
    issues: dict[str, list[Contact]] = {}
    for contact in contacts:
        issues.setdefault(contact.issue_id, []).append(contact)
    return issues


def answers_about(customer: Customer, issue: list[Contact]) -> list[Answer]:
    """The survey answers about an issue: those that name one of its contacts, or none but came in time."""
    if not customer.answers:
        return []
    ids = {contact.contact_id for contact in issue}
    first, last = issue[0].opened_at, max([contact.last_at for contact in issue])
    return [
        answer
        for answer in customer.answers
        if answer.contact_id in ids or (answer.contact_id is None and first <= answer.at <= last + PATIENCE_MS)
    ]


def ease(answer: Answer) -> float:
    """Ease in 0..1 (1 is effortless) of a ``ces1`` (low is good) or ``ces2`` (high is good) answer."""
    share = (answer.score - answer.low) / (answer.high - answer.low)
    return 1 - share if answer.instrument == "ces1" else share


def risk_inputs(customer: Customer, issue: list[Contact]) -> RiskInputs:
    """What the risk because of ``issue`` (its contacts, oldest first) rests on."""
    detractor: list[tuple[int, float]] = []
    effort: list[tuple[int, float, str]] = []
    if customer.answers:
        ids = {contact.contact_id for contact in issue}
        for answer in reversed(customer.answers):
            if answer.instrument == "nps":
                detractor.append((answer.at, float(answer.score <= 6)))
            elif answer.contact_id in ids and answer.instrument in EFFORT_INSTRUMENTS:
                effort.append((answer.at, 1 - ease(answer), answer.contact_id or ""))
    elsewhere: list[tuple[str, int]] = []
    if issue and len(customer.contacts) > len(issue):
        own = issue[0].issue_id
        elsewhere = [
            (c.issue_id, c.opened_at) for c in customer.contacts if c.issue_id != own and c.kind == "complaint"
        ]
    since, until = _contract(customer)
    occasions = occasion_bits(customer)
    return RiskInputs(issue, occasions, customer.occasions_from, detractor, effort, elsewhere, since, until)


def _contract(customer: Customer) -> tuple[int, int]:
    """From when to when the newest known contract holds; without a notice date until its end."""
    contract = customer.stated.bindings.get("contractual") if customer.stated is not None else None
    if contract is None:
        return 0, 0
    ends = contract.notice_by if contract.notice_by is not None else contract.ends_at
    return contract.at, NO_END if ends is None else ends


@final
class IssueSnapshot:
    """An issue and its customer as known at one moment; the newest contact and the sums are of contacts begun by then.

    Without any contact begun, only what is so without the issue may be read.
    """

    def __init__(self, inputs: RiskInputs, at: int, gap_days: float) -> None:
        self.inputs = inputs
        self.at = at
        self.gap_days = gap_days
        self.bought: int = inputs.occasions & ((1 << max(0, at // DAY_MS - inputs.first_day + 1)) - 1)
        """Bitmap of the days with a voluntary purchase by then."""
        contacts = inputs.contacts
        if contacts and contacts[-1].opened_at > at:
            contacts = [contact for contact in contacts if contact.opened_at <= at]
        self.begun: list[Contact] = contacts
        """The contacts begun by then, oldest first."""
        self.information_repeated = self.self_service_first = self.cancellation = self.reopened = 0.0
        """1 where it is so of a contact."""
        last: Contact | None = None
        last_seen, recent, transfers, waiting = 0, 0, 0, 0.0
        month_ago = at - MONTH_MS
        for contact in contacts:
            opened, seen = contact.opened_at, contact.last_at
            if seen > at:
                seen = opened
            last_seen = max(last_seen, seen)
            if opened > month_ago:
                recent += 1
            transfers += contact.transfers
            waiting = max(waiting, contact.waiting_seconds)
            if contact.information_repeated:
                self.information_repeated = 1.0
            if contact.self_service_first:
                self.self_service_first = 1.0
            if contact.kind == "cancellation":
                self.cancellation = 1.0
            if last is not None and last.resolved and last.last_at < opened:
                self.reopened = 1.0
            last = contact
        self.last = last
        self.last_seen = last_seen
        """When the customer and the firm last dealt with the issue."""
        self.recent = recent
        """Contacts opened within 30 days."""
        self.transfers = transfers
        self.waiting_seconds = waiting
        """The longest wait."""
        self.solved = 1.0 if last is not None and last.resolved and last.last_at <= at else 0.0
        """1 when the last contact is called solved."""
