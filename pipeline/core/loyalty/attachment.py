"""Attachment (voluntary), binding (not voluntary), and captive customers, who are bound without being attached.

Only emotional binding counts as attachment, and only what the customer does and says freely is a sign of it: coming
back unprompted, recommending us, paying the full price, finding it easy. Satisfaction has no part in it: it looks back.
Purchases under obligation have none either. The parts weigh the same, because nothing published says otherwise.
"""

from msgspec import Struct

from pipeline.core.contract.events import BindingKind
from pipeline.core.definition import Definition
from pipeline.core.loyalty.lifecycle import Lifecycle, occasions_until, within_a_year
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.promises import lost_by
from pipeline.core.loyalty.purchase_metrics import full_price_repeats
from pipeline.core.risk.issue_facts import ease
from pipeline.core.state.customer import Answer, Customer

FORCED: tuple[BindingKind, ...] = ("contractual", "technical", "economic", "situational")
"""Kinds that hold a customer whether they want it or not."""


class InForce(Struct, frozen=True):
    """Something that binds a customer now; moments in milliseconds."""

    kind: BindingKind
    ends_at: int | None
    notice_by: int | None


class Attachment(Struct, frozen=True):
    """How attached a customer is, 0 to 1, and the parts it is the mean of; ``None``: nothing is known."""

    unprompted_repurchase: float | None
    recommendation: float | None
    full_price_share: float | None
    ease: float | None
    attachment: float | None


class Captivity(Struct, frozen=True):
    """Whether a customer is bound without being attached, and when they are free."""

    captive: bool
    released_at: int | None
    """When the last of what binds by force ends; ``None``: nothing does, or no end is known."""
    next_notice_by: int | None
    """The next last moment to give notice."""


def in_force(customer: Customer, now: int) -> list[InForce]:
    """What binds a customer at ``now``, as far as anybody said."""
    if customer.stated is None:
        return []
    return [
        InForce(kind, binding.ends_at, binding.notice_by)
        for kind, binding in customer.stated.bindings.items()
        if binding.at <= now and (binding.ends_at is None or now < binding.ends_at)
    ]


def attachment(
    customer: Customer, now: int, life: Lifecycle, broken: int, referrals: int = 0, norms: Norms = PRIORS
) -> Attachment:
    """How attached a customer in the phase ``life`` is, to whom ``broken`` promises were not kept."""
    year = within_a_year(customer, full_price_repeats(customer, now), now).bit_count()
    repeats = within_a_year(customer, occasions_until(customer, now) & ~1, now).bit_count()
    parts = (
        None if life == "new" else year / (year + norms.half_repurchase),
        _recommendation(customer, now, referrals),
        year / repeats if repeats else None,
        _ease(customer, now),
    )
    known = [part for part in parts if part is not None]
    value = max(0.0, sum(known) / len(known) - lost_by(broken, norms)) if known else None
    return Attachment(*parts, value)


def _recommendation(customer: Customer, now: int, referrals: int) -> float | None:
    """The newest recommendation score; where nothing was said, a deed counts."""
    answer = said_by(customer, "nps", now)
    if answer is None:
        return 1.0 if referrals else None
    return answer.score / 10


def _ease(customer: Customer, now: int) -> float | None:
    answers = [answer for name in ("ces1", "ces2") if (answer := said_by(customer, name, now)) is not None]
    return ease(max(answers, key=lambda answer: (answer.at, answer.event_id))) if answers else None


def said_by(customer: Customer, instrument: str, now: int) -> Answer | None:
    """The newest answer to an instrument, unless it is of later."""
    answer = customer.latest.get(instrument)
    return None if answer is None or answer.at > now else answer


def captivity(bindings: list[InForce], attached: float | None, now: int, norms: Norms = PRIORS) -> Captivity:
    """Whether what binds a customer holds them without attachment (Unverbundenheit), and until when."""
    forced = [binding for binding in bindings if binding.kind in FORCED]
    ends = [binding.ends_at for binding in forced if binding.ends_at is not None]
    notices = [binding.notice_by for binding in forced if binding.notice_by is not None and binding.notice_by >= now]
    return Captivity(
        captive=bool(forced) and attached is not None and attached < norms.low_attachment,
        released_at=max(ends) if ends and len(ends) == len(forced) else None,
        next_notice_by=min(notices, default=None),
    )


KINDS = "Meyer & Oevermann 1995, Kundenbindung, in: Handwörterbuch des Marketing"
BOUND = "Bliemel & Eggert 1998, Marketing ZFP 20(1)"
DEFINITIONS = (
    Definition(
        "attachment",
        1,
        "How attached a customer is of their own will: the mean of what is known of unprompted repurchase, "
        "recommendation, full-price share and ease, less 0.1 for each broken promise (0.3 at most). "
        "Satisfaction and purchases under obligation have no part in it.",
        "0 to 1",
    ),
    Definition(
        "unprompted_repurchase",
        1,
        "n / (n + 2), where n is the repeat days within the last 365 with neither obligation nor incentive; "
        "empty for a new customer, who had no occasion yet.",
        "0 to 1",
    ),
    Definition(
        "recommendation",
        1,
        "The newest answer to 'would you recommend us', over 10; 1 where nothing was said but somebody was referred.",
        "0 to 1",
        "Reichheld 2003, Harvard Business Review 81(12)",
    ),
    Definition("full_price_share", 1, "Share of the repeat days within the last 365 without an incentive.", "0 to 1"),
    Definition(
        "ease",
        1,
        "The newest effort answer, 1 is effortless: (5 - s) / 4 of CES 1, (s - 1) / 6 of CES 2.",
        "0 to 1",
        "Dixon, Freeman & Toman 2010, Harvard Business Review 88(7/8)",
    ),
    Definition("bindings", 1, "What binds the customer now: of each kind what was said last."),
    Definition("bound_by", 1, "The kinds of what binds the customer now: of each kind what was said last."),
    Definition("kind", 1, "Of a binding: situational, technical, contractual, economic or emotional.", "", KINDS),
    Definition("situational", 1, "Bound by circumstances, such as the only shop in reach.", "", KINDS),
    Definition("technical", 1, "Bound because other things do not fit.", "", KINDS),
    Definition("contractual", 1, "Bound by a contract.", "", KINDS),
    Definition("economic", 1, "Bound because changing would cost.", "", KINDS),
    Definition(
        "emotional", 1, "Bound by conviction. Said by a source it is shown; only deeds count as attachment.", "", KINDS
    ),
    Definition("ends_at", 1, "When a binding ends; empty: no end is known. It holds until just before.", "time"),
    Definition("notice_by", 1, "The last moment to give notice of a contract.", "time"),
    Definition(
        "captive",
        1,
        "Bound by force (contractual, technical, economic, situational) with an attachment below 0.4: latent churn, "
        "released when what binds ends. A risk, never loyalty.",
        "",
        BOUND,
    ),
    Definition("released_at", 1, "When the last binding by force ends; empty: none holds, or no end is known.", "time"),
    Definition("next_notice_by", 1, "The next last moment to give notice of a contract in force.", "time"),
)
