"""What acting on alerts changed: customers the desk acted for, against customers who were held out.

Arms are compared as they were drawn, whether or not a call was made (intention to treat): who could not be reached
differs from who could, and leaving them out would measure that difference instead of the desk's.

Acting can harm. In a published trial 10.0 % of the customers who were called left, and 6.4 % of those who were not
(Ascarza, Iyengar & Schleicher 2016, Journal of Marketing Research 53). "No significant difference" is an answer.
"""

from dataclasses import dataclass
from math import ceil, exp, log, sqrt
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
    Definition(
        "smallest_effect",
        1,
        "The smallest share of customers kept by acting that so many customers in either arm would have shown four "
        "times in five, if as many leave without acting as left among those held out. Who sees no effect learns only "
        "that it is probably not larger than this.",
        "difference of two proportions, 0 to 1",
        "Chow, Shao & Wang 2008, Sample Size Calculations in Clinical Research, 2nd ed., section 4.2",
    ),
)
POWER = 0.8
"""How often an effect of the smallest size that is called detectable is found."""

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
    smallest_effect: float | None
    """What these arms could have shown; ``None``: not even that acting keeps everybody."""

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
    smallest = smallest_effect(held_out.share, treated.customers, held_out.customers, level)
    return Effect(treated, held_out, level, _difference(treated, held_out, z), _ratio(treated, held_out, z), smallest)


def customers_needed(churn: float, effect_: float, share: float, level: float = 0.95) -> int:
    """How many customers with an alert, in both arms together, show an effect four times in five.

    ``churn`` is the share who leave without acting, ``effect_`` by how much acting lowers it, ``share`` that of the
    held out. With normal approximations of both shares and their own variances, neither pooled nor corrected::

        n_held_out = (z(1 - alpha/2) + z(power))² / effect² · (p₁ (1 - p₁) / k + p₂ (1 - p₂))
        n_treated = k · n_held_out

    Chow, Shao & Wang 2008, Sample Size Calculations in Clinical Research, 2nd ed., section 4.2 (test for equality).

    Raises
    ------
    ValueError
        The effect is none, is larger than the churn, or an arm is to be empty.
    """
    if not (0 < effect_ <= churn <= 1 and 0 < share < 1):
        raise ValueError("an effect lies between 0 and the churn, the share held out between 0 and 1")
    acted_for = churn - effect_
    variance = acted_for * (1 - acted_for) / (1 - share) + churn * (1 - churn) / share
    return ceil(_separation(level) * variance / effect_**2)


def smallest_effect(churn: float, treated: int, held_out: int, level: float = 0.95) -> float | None:
    """The inverse of :func:`customers_needed`: the effect for which these arms are just large enough.

    ``None`` where even keeping everybody would not have shown, or nobody left without acting either.
    """
    apart = _separation(level)
    square, linear = 1 + apart / treated, apart * (1 - 2 * churn) / treated
    constant = apart * churn * (1 - churn) * (1 / treated + 1 / held_out)
    found = (sqrt(linear**2 + 4 * square * constant) - linear) / (2 * square)
    return found if 0 < found <= churn else None


def _separation(level: float) -> float:
    """The squared number of standard errors by which an effect must stand out."""
    return (NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(POWER)) ** 2


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
    return f"{counted} {apart} {meaning} {_could_show(found)}"


SHOWN_EFFECT = 0.03
"""The effect of which is said how many customers it takes: 3 percentage points."""


def _could_show(found: Effect) -> str:
    """What these arms could have shown at all, and what a small effect takes."""
    churn, customers = found.held_out.share, found.treated.customers + found.held_out.customers
    if found.smallest_effect is None:
        could = "So few customers could not have shown any effect, not even that acting keeps everybody."
    else:
        points = 100 * found.smallest_effect
        could = f"The smallest effect they could have shown (four times in five) is {points:.1f} points."
    if churn <= SHOWN_EFFECT:
        return could
    needed = customers_needed(churn, SHOWN_EFFECT, found.held_out.customers / customers, found.level)
    return f"{could} {100 * SHOWN_EFFECT:.0f} points would take {needed:,} customers with an alert, split alike."


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
