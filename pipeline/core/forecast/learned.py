"""The parameter file of ``loyalty fit purchases``: parameters, their uncertainty, and the data they rest on.

The file is read strictly: an unknown field, a missing one, a number that makes no sense, or another format is refused,
never repaired. It holds everything needed to judge the parameters without the data they come from.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.errors import Refused

FORMAT: Literal[1] = 1
AGAIN = "fit again: loyalty fit purchases"

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]


class Rates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number for each parameter of BG/NBD or MBG/NBD."""

    r: Positive
    alpha: Positive
    a: Positive
    b: Positive


class Money(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number for each parameter of Gamma-Gamma."""

    p: Positive
    q: Positive
    gamma: Positive


class PurchaseFit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase model; ``standard_errors`` are null when the data do not determine every parameter."""

    model: Leaving
    parameters: Rates
    standard_errors: Rates | None
    log_likelihood: float
    customers: Count


class SpendFit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The spend model, in ``currency`` (empty: the data did not say)."""

    model: Literal["gamma_gamma"] = "gamma_gamma"
    currency: str
    parameters: Money
    standard_errors: Money | None
    log_likelihood: float
    customers: Count
    frequency_spend_correlation: Annotated[float, Meta(ge=-1, le=1)] | None


class ForecastByRepeats(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Customers with as many repeat occasions, and their average occasions in the hold-out."""

    repeat_occasions: Text
    customers: Count
    actual: float
    bg_nbd: float
    mbg_nbd: float


class HoldOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened after the calibration period, and what the models and the baseline said."""

    weeks: Positive
    until: date
    buyers: Count
    occasions: Count
    rows: list[ForecastByRepeats]
    auc: dict[str, Share]
    auc_difference_95: tuple[float, float]
    """Interval of the AUC of expected purchases minus that of recency."""
    beats_baseline: bool


class LearnedPurchases(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal[1] = FORMAT
    version: Text
    """Names these parameters wherever a figure made from them is shown."""
    source: Text
    data_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    calibration_from: date
    calibration_until: date
    customers: Count
    repeat_buyers: Count
    purchases: tuple[PurchaseFit, PurchaseFit]
    """BG/NBD, MBG/NBD."""
    spend: SpendFit | None
    hold_out: HoldOut
    forced: bool
    """Written although something spoke against it: it does not beat the baseline, or a parameter is undetermined."""

    def purchase_model(self, leaving: Leaving) -> PurchaseModel:
        """One of the two purchase models."""
        fitted = next(fit.parameters for fit in self.purchases if fit.model is leaving)
        return PurchaseModel(leaving=leaving, r=fitted.r, alpha=fitted.alpha, a=fitted.a, b=fitted.b)

    def spend_model(self) -> SpendModel | None:
        """The spend model, if spend was looked at."""
        if self.spend is None:
            return None
        fitted = self.spend.parameters
        return SpendModel(p=fitted.p, q=fitted.q, gamma=fitted.gamma)


def encode(learned: LearnedPurchases) -> bytes:
    """The file's bytes: readable JSON."""
    return msgspec.json.format(msgspec.json.encode(learned), indent=2) + b"\n"


def decode(content: bytes) -> LearnedPurchases:
    """The inverse.

    Raises
    ------
    Refused
        It is not such a file, or holds what makes no sense; the message names the place.
    """
    try:
        learned = msgspec.json.decode(content, type=LearnedPurchases)
    except msgspec.DecodeError as broken:
        raise Refused(f"the parameter file cannot be used: {broken}; {AGAIN}") from None
    if tuple(fit.model for fit in learned.purchases) != tuple(Leaving):
        raise Refused(f"the parameter file cannot be used: $.purchases must be {', '.join(Leaving)}; {AGAIN}")
    if not learned.calibration_from < learned.calibration_until < learned.hold_out.until:
        raise Refused(f"the parameter file cannot be used: its periods are out of order; {AGAIN}")
    for leaving in Leaving:
        learned.purchase_model(leaving)
    learned.spend_model()
    return learned
