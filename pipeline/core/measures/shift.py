"""Whether customers are less or more loyal after a contact than before it: the firm's own ratio, beside 4 : 1.

Rules
-----
- Loyalty looks forward: two signals count, and satisfaction is not one of them.

  *purchases*: days with a voluntary purchase in the window after the contact, against a window of the same length
  before. The window before ends with the last purchase up to the contact and leaves that one out: a contact follows
  a purchase more often than not, and counting it would make everybody look less loyal afterwards. So customers whose
  contact changed nothing are as likely to count as less as to count as more loyal. Fewer by half or more is less, twice
  as many or more is more, in between is the same.

  *recommendation*: the last answer within the window after the contact against the last one in the year before it, by
  class (detractor, passive, promoter).

- Less loyal: a signal says less and none says more. More loyal: the other way round. The same: no signal says either.
- Undecided: the window is still open, there is nothing to compare, or the signals contradict each other. While the
  window is open nothing is decided, also where the answer seems clear: those who return do so early, those who stay
  away show it late.
- One contact per customer, drawn by its id among those of the period whose window is over, so those who call often do
  not count more often. Drawn, because a rule would be a bias: the first contact has none before it and others after
  it, the last one the other way round, and contacts follow purchases. In a simulated firm whose contacts change
  nothing (the one in the tests) this finds 1.0 : 1; by first contacts it would be 0.5, by last ones 1.7, and with the
  purchase that led to the contact counted as before, 4.1.
- Purchases under obligation are no evidence, and a prospect has no loyalty to lose.

The ratio is less : more. Given how many changed at all, the number of those who became less loyal is binomial, so the
exact interval of that share (Clopper & Pearson 1934) becomes that of the ratio: share / (1 - share). This is how the
odds of a matched comparison are treated (McNemar 1947); who stayed the same or is undecided does not enter.

4 : 1 is what CEB published after asking more than 75,000 customers (Dixon, Freeman & Toman 2010, Harvard Business
Review). It was asked, this is observed: compare the direction, not the decimals.

Known weaknesses: customers also drift away without any contact, and this ratio holds that too. Where a customer bought
again between the purchase that led to the contact and the contact, one purchase too many counts as before. The newest
32 contacts and answers of a customer are kept. A later contact can be drawn once its window is over.
"""

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import Literal, NamedTuple

from pipeline.core.definition import Definition
from pipeline.core.measures.intervals import Estimate, exact
from pipeline.core.measures.surveys import nps_class
from pipeline.core.state.customer import DAY_MS, Contact, Customer, occasion_bits

PUBLISHED = 4.0
"""Less loyal for each more loyal (CEB)."""


@dataclass(frozen=True, slots=True)
class ShiftPolicy:
    """What "before" and "after" mean."""

    version: str = "shift-1"
    window_days: int = 90
    answer_days: int = 365
    """How old the recommendation before the contact may be."""

    def __post_init__(self) -> None:
        if self.window_days < 1 or self.answer_days < 1:
            raise ValueError("a window needs at least one day")


DEFAULT = ShiftPolicy()

DEFINITIONS = (
    Definition("less_loyal", 1, "In the 90 days after a contact at most half as many days with a voluntary purchase as "
               "in 90 days before, or a worse class of recommendation, and no sign of the opposite.", "customers"),
    Definition("more_loyal", 1, "In the 90 days after a contact at least twice as many days with a voluntary purchase "
               "as in 90 days before, or a better class of recommendation, and no sign of the opposite.", "customers"),
    Definition("disloyal_to_loyal", 1, "Less loyal for each more loyal after a contact, one contact per customer.",
               "ratio", "4 : 1 is CEB's (Dixon, Freeman & Toman 2010); interval: Clopper & Pearson 1934"),
)  # fmt: skip

Sign = Literal["less", "same", "more"]
Undecided = Literal["window open", "nothing to compare", "contradictory"]


class Shift(NamedTuple):
    """What became of a customer's loyalty after a contact, and the signals it follows from."""

    contact_id: str
    outcome: Sign | Undecided
    purchases: Sign | None
    recommendation: Sign | None
    synthetic: bool


def counted_contact(customer: Customer, since: int, at: int, policy: ShiftPolicy = DEFAULT) -> Contact | None:
    """The contact by which a customer counts: drawn by its id among those from ``since`` on whose window is over.

    Where no window is over yet, the first contact of the period stands for the customer, as undecided.
    """
    bought = customer.first_purchase_at
    if bought is None:
        return None
    seen = [
        contact for contact in customer.contacts if since <= contact.opened_at <= at and bought <= contact.opened_at
    ]
    over = [contact for contact in seen if _closes(contact, policy) <= at]
    return min(over, key=_lot) if over else next(iter(seen), None)


def _lot(contact: Contact) -> bytes:
    return blake2b(contact.contact_id.encode(), digest_size=8).digest()


def _closes(contact: Contact, policy: ShiftPolicy) -> int:
    return (contact.opened_at // DAY_MS + policy.window_days + 1) * DAY_MS


def shift_after(customer: Customer, contact: Contact, at: int, policy: ShiftPolicy = DEFAULT) -> Shift:
    """What became of a customer's loyalty after ``contact``, as far as is known at ``at`` (milliseconds)."""
    closes = _closes(contact, policy)
    if at < closes:
        return Shift(contact.contact_id, "window open", None, None, contact.synthetic)
    bought = purchases_sign(customer, contact.opened_at // DAY_MS, policy)
    said = recommendation_sign(customer, contact.opened_at, closes, policy)
    return Shift(contact.contact_id, _together(bought, said), bought, said, contact.synthetic)


def _together(one: Sign | None, other: Sign | None) -> Sign | Undecided:
    signs = {sign for sign in (one, other) if sign is not None}
    if not signs:
        return "nothing to compare"
    if signs >= {"less", "more"}:
        return "contradictory"
    return "less" if "less" in signs else "more" if "more" in signs else "same"


def purchases_sign(customer: Customer, day: int, policy: ShiftPolicy = DEFAULT) -> Sign | None:
    """Voluntary purchases after a day against before; ``None`` where the history is too short, or nothing was bought.

    The first purchase has to lie before the window: a customer who was not there yet could not buy.
    """
    window, start = policy.window_days, customer.occasions_from
    bits = occasion_bits(customer)
    until = bits & ((1 << max(0, day + 1 - start)) - 1)
    if not until:
        return None
    last = start + until.bit_length() - 1
    if last - window <= start:
        return None
    return sign_of(_count(bits, last - window - start, window), _count(bits, day + 1 - start, window))


def _count(bits: int, first: int, days: int) -> int:
    return (bits >> first & ((1 << days) - 1)).bit_count()


def sign_of(before: int, after: int) -> Sign | None:
    """Half as many or fewer is less, twice as many or more is more; nothing and nothing says nothing."""
    if not before and not after:
        return None
    if 2 * after <= before:
        return "less"
    return "more" if 2 * before <= after else "same"


def recommendation_sign(customer: Customer, opened_at: int, closes: int, policy: ShiftPolicy = DEFAULT) -> Sign | None:
    """The class of the last recommendation before ``closes`` against that up to the contact; ``None`` without both."""
    oldest = opened_at - policy.answer_days * DAY_MS
    before = after = None
    for answer in customer.answers:  # oldest first
        if answer.instrument == "nps" and oldest < answer.at <= opened_at:
            before = nps_class(answer.score)
        elif answer.instrument == "nps" and opened_at < answer.at < closes:
            after = nps_class(answer.score)
    if before is None or after is None:
        return None
    step = _CLASSES.index(after) - _CLASSES.index(before)
    return "more" if step > 0 else "less" if step < 0 else "same"


_CLASSES = ("detractor", "passive", "promoter")


# --- the ratio


Against = Literal["above 4 : 1", "below 4 : 1", "no different from 4 : 1"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Less loyal for each more loyal after a contact, with its 95 % interval."""

    version: str
    window_days: int
    customers: int
    """Customers with a contact that counts, decided or not."""
    synthetic: int
    less: int
    same: int
    more: int
    undecided: dict[Undecided, int]
    ratio: Estimate | None
    """``None`` where nobody changed; the value and the upper end are infinite where nobody became more loyal."""
    against_published: Against | None
    by_signal: dict[str, dict[Sign, int]]
    """What each signal said, where it said something."""


def ratio_of(less: int, more: int) -> Estimate | None:
    """``less`` for each ``more`` with the exact 95 % interval, given ``less + more``; ``None`` of nobody."""
    if less + more == 0:
        return None
    share = exact(less, less + more)
    return Estimate(_odds(share.value), _odds(share.low), _odds(share.high), less + more)


def _odds(share: float) -> float:
    return inf if share >= 1 else share / (1 - share)


class ShiftTotals:
    """Customers by what became of their loyalty after a contact."""

    def __init__(self, policy: ShiftPolicy = DEFAULT) -> None:
        self._policy = policy
        self._outcomes = Counter[Sign | Undecided]()
        self._signals: dict[str, Counter[Sign]] = {"purchases": Counter(), "recommendation": Counter()}
        self._synthetic = 0

    def add(self, customer: Customer, since: int, at: int) -> None:
        """Count one customer, if a contact of theirs counts."""
        contact = counted_contact(customer, since, at, self._policy)
        if contact is None:
            return
        shift = shift_after(customer, contact, at, self._policy)
        self._outcomes[shift.outcome] += 1
        self._synthetic += shift.synthetic
        for name, sign in (("purchases", shift.purchases), ("recommendation", shift.recommendation)):
            if sign is not None:
                self._signals[name][sign] += 1

    def result(self) -> Ratio:
        """What they come to."""
        found = self._outcomes
        ratio = ratio_of(found["less"], found["more"])
        names: tuple[Undecided, ...] = ("window open", "nothing to compare", "contradictory")
        signs: tuple[Sign, ...] = ("less", "same", "more")
        return Ratio(
            version=self._policy.version,
            window_days=self._policy.window_days,
            customers=found.total(),
            synthetic=self._synthetic,
            less=found["less"],
            same=found["same"],
            more=found["more"],
            undecided={name: found[name] for name in names},
            ratio=ratio,
            against_published=None if ratio is None else _against(ratio),
            by_signal={name: {sign: counts[sign] for sign in signs} for name, counts in self._signals.items()},
        )


def _against(ratio: Estimate) -> Against:
    if ratio.low > PUBLISHED:
        return "above 4 : 1"
    return "below 4 : 1" if ratio.high < PUBLISHED else "no different from 4 : 1"
