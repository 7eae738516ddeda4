"""What acting on alerts changed: customers the desk acted for, against customers who were held out.

Arms are compared as they were drawn, whether or not a call was made (intention to treat): who could not be reached
differs from who could, and leaving them out would measure that difference instead of the desk's.

Acting can harm. In a published trial 10.0 % of the customers who were called left, and 6.4 % of those who were not
(Ascarza, Iyengar & Schleicher 2016, Journal of Marketing Research 53). "No significant difference" is an answer.
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

from pipeline.core.definition import Definition
from pipeline.core.measures.intervals import wilson
from pipeline.errors import Refused

DEFINITIONS = (
    Definition(
        "effect_of_acting",
        1,
        "Share of customers who left among those the desk acted for, minus the share among those held out; "
        "below zero: acting kept customers.",
        "difference of two proportions, -1 to 1",
        "Newcombe 1998, Statistics in Medicine 17:873-890, method 10 (hybrid score interval)",
    ),
    Definition(
        "relative_risk",
        1,
        "Share who left among those the desk acted for, divided by the share among those held out; "
        "below one: acting kept customers.",
        "ratio",
        "Katz et al. 1978, Biometrics 34:469-474 (interval on the logarithm)",
    ),
)

Verdict = Literal["acting helped", "acting harmed", "no significant difference"]


class Interval(NamedTuple):
    """A figure with the interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """Customers of one arm, and how many of them left."""

    customers: int
    left: int

    def __post_init__(self) -> None:
        if not 0 <= self.left <= self.customers:
            raise ValueError(f"{self.left} of {self.customers} customers cannot have left")

    @property
    def share(self) -> float:
        """The share that left."""
        return self.left / self.customers


@dataclass(frozen=True, slots=True)
class Effect:
    """The measured effect of acting."""

    treated: Arm
    held_out: Arm
    level: float
    """Confidence of the intervals, in 0..1."""
    difference: Interval
    relative_risk: Interval | None
    """``None`` where an arm lost nobody: the ratio, or its interval, does not exist."""

    @property
    def verdict(self) -> Verdict:
        """What the interval of the difference allows to be said."""
        if self.difference.high < 0:
            return "acting helped"
        return "acting harmed" if self.difference.low > 0 else "no significant difference"


def effect(treated: Arm, held_out: Arm, level: float = 0.95) -> Effect:
    """Compare the arms.

    Raises
    ------
    Refused
        An arm is empty: there is nothing to compare with.
    ValueError
        ``level`` does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"the confidence level lies between 0 and 1, not at {level}")
    if not held_out.customers:
        raise Refused("nobody was held out, so there is nothing to compare with; hold out a share of the alerts first")
    if not treated.customers:
        raise Refused("nobody was acted for, so there is no effect to measure; hold out fewer of the alerts")
    z = NormalDist().inv_cdf((1 + level) / 2)
    return Effect(treated, held_out, level, _difference(treated, held_out, z), _ratio(treated, held_out, z))


def _difference(one: Arm, other: Arm, z: float) -> Interval:
    """Newcombe's method 10: the distances to the limits of both score intervals, squared and added."""
    first, second = wilson(one.left, one.customers, z), wilson(other.left, other.customers, z)
    value = one.share - other.share
    return Interval(
        value,
        value - sqrt((one.share - first.low) ** 2 + (second.high - other.share) ** 2),
        value + sqrt((first.high - one.share) ** 2 + (other.share - second.low) ** 2),
    )


def _ratio(one: Arm, other: Arm, z: float) -> Interval | None:
    if not one.left or not other.left:
        return None
    error = sqrt(1 / one.left - 1 / one.customers + 1 / other.left - 1 / other.customers)
    value = one.share / other.share
    return Interval(value, exp(log(value) - z * error), exp(log(value) + z * error))


def in_words(found: Effect) -> str:
    """The effect in sentences for somebody who knows no statistics."""
    one, other, change = found.treated, found.held_out, found.difference
    counted = (
        f"Of {one.customers:,} customers the desk was to act for, {one.left:,} left ({one.share:.1%}); "
        f"of {other.customers:,} who were held out, {other.left:,} ({other.share:.1%})."
    )
    apart = (
        f"That is {_points(change.value)} percentage points; with {found.level:.0%} confidence the true figure lies "
        f"between {_points(change.low)} and {_points(change.high)}."
    )
    meaning = {
        "acting helped": "Acting keeps customers.",
        "acting harmed": "Acting does harm: more leave when the desk acts. Stop, and find out why.",
        "no significant difference": "No significant difference: this can be chance. It does not show that acting "
        "is useless; with more customers a smaller effect would show.",
    }[found.verdict]
    return f"{counted} {apart} {meaning}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
