"""The loyalty state of a customer at a moment: a pure function of their state and the policy.

Loyalty starts with the first purchase: a prospect has no loyalty state. Silence changes it without an event, so it is
not kept but asked: :func:`loyalty` says what holds at ``now``, as far as it is known by all events so far. Purchase
days, answers, consent and bindings of after ``now`` are left out; sums (spent, incentives, deliveries), contacts and
alerts are as they are.
"""

from msgspec import Struct

from pipeline.core.contract.events import Consent
from pipeline.core.definition import Definition
from pipeline.core.loyalty.attachment import Attachment, Captivity, InForce, attachment, captivity, in_force
from pipeline.core.loyalty.consent import may_survey
from pipeline.core.loyalty.lifecycle import Lifecycle, Rhythm, lifecycle, rhythm
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.promises import PromiseCounts, promises
from pipeline.core.loyalty.purchase_metrics import (
    Incentives,
    cross_sold,
    days_since_last_purchase,
    incentives,
    member_share,
    net_spent,
)
from pipeline.core.loyalty.satisfaction import Satisfaction, satisfaction
from pipeline.core.loyalty.segments import (
    Quadrant,
    basket_ratio,
    is_long_standing,
    is_regular,
    occasions_in_year,
    quadrant,
    tenure_days,
)
from pipeline.core.state.customer import Customer


class LoyaltySegment(Struct, frozen=True):
    """Regular against long-standing, and what it rests on."""

    tenure_days: int
    long_standing: bool
    occasions_in_year: int
    basket_ratio: float | None
    regular: bool | None
    quadrant: Quadrant | None


class Loyalty(Struct, frozen=True, kw_only=True):
    """The loyalty state of a customer; the name of every field is a term of the glossary or that of a group of them."""

    norms_version: str
    lifecycle: Lifecycle
    rhythm: Rhythm
    standing: LoyaltySegment
    days_since_last_purchase: int
    purchases: int
    net_spent: dict[str, int]
    incentives: Incentives
    programme_member: bool | None
    member_share: float | None
    cross_sold: int
    referred_by: str | None
    referrals: int
    promises: PromiseCounts
    bindings: list[InForce]
    attachment: Attachment
    captivity: Captivity
    satisfaction: Satisfaction
    survey_consent: Consent | None
    may_survey: bool


def loyalty(customer: Customer, now: int, norms: Norms = PRIORS, referrals: int = 0) -> Loyalty | None:
    """The loyalty state at ``now`` (milliseconds); ``None`` for a prospect.

    ``referrals`` is how many others name this customer as the one who recommended us.
    """
    own_rhythm = rhythm(customer, now, norms)
    if own_rhythm is None:
        return None
    kept, bindings, stated = promises(customer, now), in_force(customer, now), customer.stated
    life = lifecycle(own_rhythm, any(binding.kind == "contractual" for binding in bindings), norms)
    attached = attachment(customer, now, life, kept.broken, referrals, norms)
    bound = captivity(bindings, attached.attachment, now, norms)
    return Loyalty(
        norms_version=norms.version,
        lifecycle=life,
        rhythm=own_rhythm,
        standing=_standing(customer, now, norms),
        days_since_last_purchase=days_since_last_purchase(customer, now),
        purchases=customer.purchases,
        net_spent=net_spent(customer),
        incentives=incentives(customer, now),
        programme_member=stated.membership.member if stated is not None and stated.membership is not None else None,
        member_share=member_share(customer),
        cross_sold=cross_sold(customer, now),
        referred_by=stated.referred_by.customer_id if stated is not None and stated.referred_by is not None else None,
        referrals=referrals,
        promises=kept,
        bindings=bindings,
        attachment=attached,
        captivity=bound,
        satisfaction=satisfaction(customer, now, life, bound.captive, norms),
        survey_consent=stated.consent.status if stated is not None and stated.consent is not None else None,
        may_survey=may_survey(customer, now),
    )


def _standing(customer: Customer, now: int, norms: Norms) -> LoyaltySegment:
    tenure, occasions = tenure_days(customer, now), occasions_in_year(customer, now)
    long_standing, basket = is_long_standing(tenure, norms), basket_ratio(customer, norms.typical_baskets)
    regular = is_regular(occasions, basket, norms)
    return LoyaltySegment(tenure, long_standing, occasions, basket, regular, quadrant(regular, long_standing))


DEFINITIONS = (
    Definition(
        "norms_version",
        1,
        "Version of the figures the loyalty state rests on that are not the customer's own.",
    ),
)
