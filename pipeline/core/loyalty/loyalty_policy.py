"""The loyalty policy: usual values and thresholds, which are all figures that are not the customer's own.

All are priors until they are measured from a firm's own history; one version for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Norms:
    """Figures with their reasons.

    Raises
    ------
    ValueError
        A figure makes no sense; the message names it.
    """

    version: str = "priors-1"
    usual_gap_days: float = 34.0
    """Days between two purchase days of a usual customer: the median of CDNOW's 44,021 gaps. Their mean, 72, is drawn
    out by a few long ones: with it, those called at rest came back less often than those called lapsed."""
    usual_gap_weight: float = 1.0
    """For how many of the customer's own gaps the usual one counts: from their second gap on, their own weigh more."""
    rest_at_gaps: float = 2.0
    """A customer who buys at random moments is silent so long with a chance of exp(-2) = 14 %."""
    lapse_at_gaps: float = 4.0
    """And so long with exp(-4) = 2 %."""
    long_standing_days: int = 365
    frequent_occasions: int = 6
    """Purchase days within 365 days from which a customer buys frequently: every second month."""
    large_basket_ratio: float = 0.5
    """Mean basket, in typical ones, from which it is no small basket."""
    typical_baskets: Mapping[str, float] = field(default_factory=lambda: {"USD": 25.98})
    """A typical purchase by currency: the median of the firm's own; before there are any, that of CDNOW."""
    half_repurchase: float = 2.0
    """Unprompted purchase days in 365 days that make half of the evidence of repurchase."""
    broken_promise: float = 0.1
    """What a broken promise takes from attachment; nothing is given for a kept one."""
    broken_promises_most: float = 0.3
    low_attachment: float = 0.4
    """Below this attachment is low: bound, and with a recommendation of 7 of 10 as the only sign of it."""
    satisfied_from: float = 0.75
    """From this share of its scale an answer says satisfied: 4 on 1 to 5."""
    satisfaction_days: int = 180
    """An answer about satisfaction is about the past; after this it says nothing about now."""
    would_return_from: float = 0.5
    """From this share of its scale an answer says that the customer would buy again."""

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in _NO_NUMBERS}
        numbers |= {f"typical_baskets[{currency}]": basket for currency, basket in self.typical_baskets.items()}
        for name, value in numbers.items():
            if not isfinite(value) or value <= 0:
                raise ValueError(f"{name} must be a number above 0, not {value}")
        if self.lapse_at_gaps <= self.rest_at_gaps:
            raise ValueError(f"lapse_at_gaps ({self.lapse_at_gaps}) must be above rest_at_gaps ({self.rest_at_gaps})")


_NO_NUMBERS = ("version", "typical_baskets")
PRIORS = Norms()
YEAR_DAYS = 365
"""The window in which buying is looked at."""
