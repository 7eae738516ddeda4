"""Churn risk after a service contact: a transparent score whose terms add up.

::

    logit(before) = intercept + the baseline terms
    logit(after)  = logit(before) + weight * (the terms about the issue)
    weight        = exp(-days since the last contact / fade)

Every term (:mod:`.terms`) is a coefficient times a plain number, so the contributions can be shown and sum to the
score. Effort raises the risk; a recovery lowers it by less than the failure raised it; prior purchases lower it, and
with it the jump that a contact makes; what a contact did fades, and the risk comes back to what it would be without it.
The coefficients are priors until they are estimated from a firm's own history (``loyalty fit risk``).

Time is an argument: the same issue can be assessed at any moment.
"""

from dataclasses import dataclass, fields, replace
from math import exp, isfinite
from typing import Final

from pipeline.core.definition import Definition
from pipeline.core.risk.holdout import Experiment, check_order
from pipeline.core.risk.inputs import RiskAssessment, RiskInputs
from pipeline.core.risk.issue_facts import IssueSnapshot
from pipeline.core.risk.messages import Contribution
from pipeline.core.risk.terms import ABOUT_ISSUE, BASELINE, PRIOR_COEFFICIENTS, TABLE, TERMS
from pipeline.core.state.customer import DAY_MS

DEFINITIONS = (
    Definition(
        "churn_risk_0_1", 2, "The probability, 0 to 1, that the customer leaves because of an issue, after the contact."
    ),
    Definition("churn_risk_before_0_1", 2, "What the risk would be at the same moment without the issue."),
    Definition(
        "silence", 1, "Log of the days since the last voluntary purchase over the customer's own mean gap, from 0 to 3."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPolicy:
    """Coefficients in logits per unit of their term, what time does to them, and the thresholds of the alert.

    Raises
    ------
    ValueError
        A coefficient is missing, a number is not finite, or thresholds are not in order.
    """

    version: str = "priors-2"
    intercept: float = -2.3  # about 9 % without any contact
    coefficients: tuple[float, ...] = PRIOR_COEFFICIENTS
    """The coefficient of each of :data:`~pipeline.core.risk.terms.TERMS`, in their order."""
    fade_days: float = 60.0  # what a contact did is down to a third after so many days
    gap_days: float = 60.0  # the mean gap of a customer of whom none is known; counts as one gap
    raise_at: float = 0.35
    clear_at: float = 0.25
    high_at: float = 0.5
    critical_at: float = 0.7
    least_rise: float = 0.05  # an alert needs that much risk more than there would be without the issue
    holdout: float = 0.0  # share of alerts on which nobody acts, where no experiment draws by customer
    experiments: tuple[Experiment, ...] = ()
    """Hold-outs by customer, the oldest first: each draws for the alerts raised from its start until the next one's."""

    def __post_init__(self) -> None:
        if len(self.coefficients) != len(TERMS):
            raise ValueError(f"there are {len(self.coefficients)} coefficients for {len(TERMS)} terms")
        other = ("version", "coefficients", "experiments")
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in other}
        wrong = [name for name, number in (self.named() | settings).items() if not isfinite(number)]
        if wrong:
            raise ValueError(f"{wrong[0]} is not a finite number")
        if not (self.fade_days > 0 and self.gap_days > 0):
            raise ValueError("fade_days and gap_days must be above 0")
        if not 0 < self.clear_at < self.raise_at < self.high_at < self.critical_at < 1:
            raise ValueError("thresholds must rise: 0 < clear_at < raise_at < high_at < critical_at < 1")
        if not 0 <= self.holdout <= 1:
            raise ValueError("holdout must be a share, 0 to 1")
        check_order(self.experiments)

    def named(self) -> dict[str, float]:
        """The intercept and every coefficient, by the name of its term."""
        return {"intercept": self.intercept, **dict(zip(TERMS, self.coefficients, strict=True))}

    def with_coefficients(self, **named: float) -> "RiskPolicy":
        """The same policy with other coefficients for the named terms.

        Raises
        ------
        ValueError
            There is no such term.
        """
        unknown = [name for name in named if name != "intercept" and name not in TERMS]
        if unknown:
            raise ValueError(f"{unknown[0]} is no term of the risk")
        numbers = self.named() | named
        coefficients = tuple([float(numbers[term]) for term in TERMS])
        return replace(self, intercept=float(numbers["intercept"]), coefficients=coefficients)


PRIORS: Final = RiskPolicy()
_BASELINE_VALUES: Final = tuple([term.value for term in BASELINE])
_ISSUE_VALUES: Final = tuple([term.value for term in ABOUT_ISSUE])
_CURVES: Final = tuple([term.curve for term in TABLE])
_NO_VALUES: Final = [0.0] * len(ABOUT_ISSUE)
_ALWAYS_SHOWN: Final = tuple([term.always_shown for term in TABLE])


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow at either end."""
    if logit >= 0:
        return 1 / (1 + exp(-logit))
    return exp(logit) / (1 + exp(logit))


def assess(inputs: RiskInputs, at: int, policy: RiskPolicy = PRIORS) -> RiskAssessment:
    """The risk because of an issue, from what had happened by ``at`` (milliseconds)."""
    issue = IssueSnapshot(inputs, at, policy.gap_days)
    coefficients = policy.coefficients
    logit, about = policy.intercept, 0.0
    values = [value_of(issue) for value_of in _BASELINE_VALUES]
    for term, value in enumerate(values):
        if value:
            curve = _CURVES[term]
            logit += (value if curve is None else curve(value)) * coefficients[term]
    before = sigmoid(logit)
    if issue.last is None:
        return RiskAssessment(at, before, before, (*values, *_NO_VALUES), 0.0)
    about_issue = [value_of(issue) for value_of in _ISSUE_VALUES]
    for term, value in enumerate(about_issue, len(BASELINE)):
        if value:
            curve = _CURVES[term]
            about += (value if curve is None else curve(value)) * coefficients[term]
    weight = exp((issue.last_seen - at) / (policy.fade_days * DAY_MS))
    return RiskAssessment(at, before, sigmoid(logit + weight * about), (*values, *about_issue), weight)


def regressors(now: RiskAssessment) -> tuple[float, ...]:
    """What the coefficient of each of :data:`~pipeline.core.risk.terms.TERMS` is multiplied with."""
    numbers = [value if curve is None else curve(value) for value, curve in zip(now.values, _CURVES, strict=True)]
    return (*numbers[: len(BASELINE)], *[number * now.weight for number in numbers[len(BASELINE) :]])


def contributions(now: RiskAssessment, policy: RiskPolicy = PRIORS) -> list[Contribution]:
    """The terms of an assessment that have a value, after the intercept; their logits add up to the score."""
    shown = [Contribution("intercept", 1.0, policy.intercept)]
    for term, number in enumerate(regressors(now)):
        if now.values[term] or _ALWAYS_SHOWN[term]:
            shown.append(Contribution(TERMS[term], now.values[term], policy.coefficients[term] * number))
    return shown
