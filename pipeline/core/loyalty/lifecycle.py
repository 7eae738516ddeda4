"""The lifecycle of a customer: whether they still buy, measured by their own rhythm.

A customer who comes every week is at rest after two weeks, one who comes every spring is not. With few gaps of their
own the usual gap stands in: the mean of the gaps seen and of one usual gap (the posterior mean of a Poisson process
under a gamma prior, in days per purchase). Purchases under obligation are no part of the rhythm.
"""

from typing import Literal

from msgspec import Struct

from pipeline.core.definition import Definition
from pipeline.core.loyalty.loyalty_policy import PRIORS, YEAR_DAYS, Norms
from pipeline.core.state.customer import DAY_MS, Customer, occasion_bits

Lifecycle = Literal["prospect", "new", "active", "at rest", "lapsed"]


class Rhythm(Struct, frozen=True):
    """How a customer has bought up to a moment."""

    repeat_occasions: int
    recency_days: int
    silence_days: int
    own_gap_days: float

    @property
    def silence_in_gaps(self) -> float:
        """The silence in multiples of the customer's own gap."""
        return self.silence_days / self.own_gap_days


def rhythm(customer: Customer, now: int, norms: Norms = PRIORS) -> Rhythm | None:
    """The rhythm of a customer at ``now`` (milliseconds); ``None`` before the first purchase."""
    if customer.first_purchase_at is None or customer.first_purchase_at > now:
        return None
    bits = occasions_until(customer, now)
    repeats, recency = max(0, bits.bit_count() - 1), max(0, bits.bit_length() - 1)
    last = customer.occasions_from + recency if bits else customer.first_purchase_at // DAY_MS
    gap = (norms.usual_gap_weight * norms.usual_gap_days + recency) / (norms.usual_gap_weight + repeats)
    return Rhythm(repeats, recency, now // DAY_MS - last, gap)


def lifecycle(own_rhythm: Rhythm | None, under_contract: bool = False, norms: Norms = PRIORS) -> Lifecycle:
    """Where in their life with us a customer is; under a contract in force, silence says nothing."""
    if own_rhythm is None:
        return "prospect"
    if own_rhythm.repeat_occasions == 0 and own_rhythm.silence_in_gaps < norms.rest_at_gaps:
        return "new"
    if under_contract:
        return "active"
    if own_rhythm.silence_in_gaps >= norms.lapse_at_gaps:
        return "lapsed"
    if own_rhythm.silence_in_gaps >= norms.rest_at_gaps:
        return "at rest"
    return "active"


def occasions_until(customer: Customer, now: int) -> int:
    """The days with a voluntary purchase up to ``now``: bit ``n`` is the day ``occasions_from + n``."""
    return occasion_bits(customer) & ((1 << max(0, now // DAY_MS - customer.occasions_from + 1)) - 1)


def incentive_days(customer: Customer) -> int:
    """The days with a voluntary purchase that had an incentive, as bits in the places of the occasions."""
    stated = customer.stated
    if stated is None or not stated.incentives:
        return 0
    return int.from_bytes(stated.incentives, "little") << (stated.incentives_from - customer.occasions_from)


def within_a_year(customer: Customer, days: int, now: int) -> int:
    """Of bits of days in the places of those of the occasions, the ones within the last 365 days up to ``now``."""
    oldest = now // DAY_MS - YEAR_DAYS + 1 - customer.occasions_from
    return days >> max(0, oldest) << max(0, oldest)


DEFINITIONS = (
    Definition(
        "repeat_occasions",
        1,
        "Days with a voluntary purchase after the first such day; x in the literature.",
        "days",
        "Fader, Hardie & Lee 2005, Marketing Science 24(2)",
    ),
    Definition(
        "recency_days",
        1,
        "Days from the first to the last voluntary purchase; t_x in the literature.",
        "days",
        "Fader, Hardie & Lee 2005, Marketing Science 24(2)",
    ),
    Definition("silence_days", 1, "Days since the last voluntary purchase, or since the first purchase.", "days"),
    Definition(
        "own_gap_days",
        1,
        "How many days usually lie between two purchases of this customer: the mean of their own gaps and of one "
        "usual gap of all customers, which counts less the more gaps of their own there are.",
        "days",
        "posterior mean of a Poisson rate under a gamma prior",
    ),
    Definition("silence_in_gaps", 1, "The silence in multiples of the customer's own gap."),
    Definition(
        "lifecycle",
        1,
        "Where in their life with us a customer is, by their own rhythm: prospect, new, active, at rest or lapsed.",
    ),
    Definition("prospect", 1, "Has not bought yet: no loyalty, no risk, no alert."),
    Definition("new", 1, "Has bought on one day only, less than 2 usual gaps ago."),
    Definition(
        "active",
        1,
        "Has come back, and has been silent for less than 2 of their own gaps; or is bound by a contract.",
    ),
    Definition("at rest", 1, "Has been silent for 2 to 4 of their own gaps."),
    Definition("lapsed", 1, "Has been silent for 4 of their own gaps or more."),
)
