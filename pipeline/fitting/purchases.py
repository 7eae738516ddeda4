"""``loyalty fit purchases``, from the history to what may be written: cut in time, fit, compare, judge.

1. Cut the history in time: the models learn from what lies before, and are judged by what lies after.
2. Fit BG/NBD, MBG/NBD and Gamma-Gamma by maximum likelihood.
3. Compare them with the hold-out, and with the plainest rule there is: who bought last, buys next.
4. Judge. What does not beat that rule, or rests on parameters that the data do not determine, is not written, unless
   forced; and then the file says so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline import files
from pipeline.core.forecast.learned import (
    ForecastByRepeats,
    HoldOut,
    LearnedPurchases,
    Money,
    PurchaseFit,
    Rates,
    SpendFit,
    decode,
    encode,
)
from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.errors import Refused
from pipeline.fitting import vectors
from pipeline.fitting.assessment import Assessment, assess, spent_later
from pipeline.fitting.estimate import PURCHASE_STARTS, SPEND_STARTS, Fit, Step, fit_purchases, fit_spend
from pipeline.fitting.history import Split, as_date

FILE = "parameters.json"
BG, MBG = Leaving.AFTER_REPEAT_PURCHASES, Leaving.AFTER_ANY_PURCHASE


class Value(NamedTuple):
    """What was spent in the hold-out, and what was expected."""

    actual: float
    expected: float


@dataclass(frozen=True, slots=True)
class Learning:
    """A fit with everything that speaks for and against it."""

    cut: Split
    learned: LearnedPurchases
    assessment: Assessment
    value: Value | None
    objections: list[str]
    """Why the parameters should not be used; empty: nothing speaks against them."""


def steps(*, spend: bool) -> int:
    """How often :func:`learn` reports progress."""
    return 2 * len(PURCHASE_STARTS) + (len(SPEND_STARTS) if spend else 0)


def learn(cut: Split, source: str, step: Step, *, force: bool = False) -> Learning:
    """Fit all models and compare them with the hold-out.

    Raises
    ------
    Refused
        A model cannot be fitted to this history.
    """
    fits = {leaving: fit_purchases(leaving, cut.seen, step) for leaving in Leaving}
    spend = None if cut.log.currency is None else fit_spend(cut.seen, step)
    models = {leaving: fit.model for leaving, fit in fits.items()}
    assessment = assess(models, cut)
    objections = _objections(fits, spend, assessment)
    learned = LearnedPurchases(
        version=f"purchases-{as_date(cut.until)}-{cut.log.digest[:8]}",
        source=source,
        data_sha256=cut.log.digest,
        calibration_from=as_date(cut.log.first_day),
        calibration_until=as_date(cut.until),
        customers=len(cut.seen.x),
        repeat_buyers=cut.seen.repeat_buyers,
        purchases=(_purchase_fit(fits[BG]), _purchase_fit(fits[MBG])),
        spend=None if spend is None else _spend_fit(spend, cut.log.currency or "", assessment.correlation),
        hold_out=_hold_out(cut, assessment),
        forced=force and bool(objections),
    )
    value = None if spend is None else _value(cut, models[BG], spend.model)
    return Learning(cut, learned, assessment, value, objections)


def ship(learning: Learning, folder: Path, *, force: bool) -> Path:
    """Write the parameter file; an older one is replaced in one step.

    Raises
    ------
    Refused
        Something speaks against the parameters, and nobody forced it.
    """
    if learning.objections and not force:
        raise Refused(
            f"no parameters were written: {'; '.join(learning.objections)}; "
            "fit a longer history, or write them all the same with --force"
        )
    content = encode(learning.learned)
    decode(content)  # what cannot be read again must not be written
    files.write_whole(folder / FILE, content, files.SHARED)
    return folder / FILE


def _objections(
    fits: dict[Leaving, Fit[PurchaseModel]], spend: Fit[SpendModel] | None, assessment: Assessment
) -> list[str]:
    found = []
    verdict = assessment.verdict
    if not verdict.beats:
        found.append(
            "expected purchases rank customers no better than the date of their last purchase, or by no more than "
            f"chance could make it (AUC {verdict.model:.3f} against {verdict.baseline:.3f}; 95 % interval of the "
            f"difference {verdict.low:+.3f} to {verdict.high:+.3f})"
        )
    for leaving, fit in fits.items():
        if fit.maximum.errors is None:
            found.append(f"the history does not determine the parameters of {leaving}")
    if spend is not None and spend.maximum.errors is None:
        found.append("the history does not determine the parameters of gamma_gamma (leave spend out with --no-spend)")
    return found


def _purchase_fit(fit: Fit[PurchaseModel]) -> PurchaseFit:
    return PurchaseFit(
        model=fit.model.leaving,
        parameters=_rates(fit.maximum.parameters),
        standard_errors=None if fit.maximum.errors is None else _rates(fit.maximum.errors),
        log_likelihood=fit.maximum.log_likelihood,
        customers=fit.customers,
    )


def _rates(values: tuple[float, ...]) -> Rates:
    r, alpha, a, b = values
    return Rates(r=r, alpha=alpha, a=a, b=b)


def _spend_fit(fit: Fit[SpendModel], currency: str, correlation: float | None) -> SpendFit:
    return SpendFit(
        currency=currency,
        parameters=_money(fit.maximum.parameters),
        standard_errors=None if fit.maximum.errors is None else _money(fit.maximum.errors),
        log_likelihood=fit.maximum.log_likelihood,
        customers=fit.customers,
        frequency_spend_correlation=correlation,
    )


def _money(values: tuple[float, ...]) -> Money:
    p, q, gamma = values
    return Money(p=p, q=q, gamma=gamma)


def _hold_out(cut: Split, assessment: Assessment) -> HoldOut:
    return HoldOut(
        weeks=cut.weeks,
        until=as_date(cut.end),
        buyers=int((cut.later > 0).sum()),
        occasions=int(cut.later.sum()),
        rows=[
            ForecastByRepeats(
                repeat_occasions=group.repeat,
                customers=group.customers,
                actual=group.actual,
                bg_nbd=group.expected[BG],
                mbg_nbd=group.expected[MBG],
            )
            for group in assessment.groups
        ],
        auc={ranking.name: ranking.auc for ranking in assessment.rankings},
        auc_difference_95=(assessment.verdict.low, assessment.verdict.high),
        beats_baseline=assessment.verdict.beats,
    )


def _value(cut: Split, model: PurchaseModel, spend: SpendModel) -> Value:
    seen = cut.seen
    expected = vectors.expected_purchases(model, seen.x, seen.t_x, seen.T, cut.weeks)
    worth = vectors.expected_spend(spend, seen.paid, seen.mean)
    return Value(spent_later(cut), float(expected @ worth))
