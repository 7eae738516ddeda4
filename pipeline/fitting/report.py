"""A fit for people, line by line, and for programs."""

from collections.abc import Sequence
from datetime import date
from textwrap import wrap
from typing import Any

from pipeline.core.forecast.learned import LearnedPurchases, PurchaseFit, SpendFit
from pipeline.fitting.assessment import BASELINE, Assessment
from pipeline.fitting.purchases import Learning

MEANINGS = {
    "r": "how alike customers are in how often they buy (higher: more alike)",
    "alpha": "weeks; r / alpha is how often they buy, on average",
    "a": "a / (a + b) is the chance to leave for good after a purchase, on average",
    "b": "a + b: how alike customers are in that (higher: more alike)",
    "p": "how steady a customer's baskets are (higher: steadier)",
    "q": "how alike customers are in what they usually spend (higher: more alike)",
    "gamma": "the scale of that, in money",
}
RANKINGS = {
    "bg_nbd expected purchases": "BG/NBD, expected purchases",
    "mbg_nbd expected purchases": "MBG/NBD, expected purchases",
    "bg_nbd chance to buy": "BG/NBD, chance to buy",
    "mbg_nbd chance to buy": "MBG/NBD, chance to buy",
    BASELINE: "who bought last (no model)",
    "mbg_nbd p_alive": "MBG/NBD, P(alive)",
    "bg_nbd p_alive": "BG/NBD, P(alive): never rank by it",
}


def as_data(learning: Learning) -> dict[str, Any]:
    """Everything for a program: the parameter file's content and the figures beside it."""
    found = learning.assessment
    return {
        "parameters": learning.learned,
        "objections": learning.objections,
        "left_out_bound_by_contract": learning.cut.log.bound,
        "expected_occasions": found.totals,
        "calibration_error": found.calibration_error,
        "brier": found.brier,
        "reliability": {name: [b._asdict() for b in bins] for name, bins in found.bins.items()},
        "tracking": {
            "weeks": found.tracking.weeks.tolist(),
            "actual": found.tracking.actual.tolist(),
            **{name: value.tolist() for name, value in found.tracking.expected.items()},
        },
        "value": learning.value and learning.value._asdict(),
    }


def as_lines(learning: Learning) -> list[str]:
    """Everything for a person who knows no statistics."""
    learned, found = learning.learned, learning.assessment
    return [
        *_heading(learned, learning.cut.log.bound),
        "",
        *_parameters(learned),
        "",
        *_counts(learned, found),
        "",
        *_rankings(learned, found),
        "",
        *_chances(found),
        *_value(learning),
        "",
        *_verdict(learning),
    ]


def _heading(learned: LearnedPurchases, bound: int) -> list[str]:
    hold_out = learned.hold_out
    lines = [
        f"Purchases of {learned.customers:,} customers ({learned.source}).",
        f"Learned from {_period(learned.calibration_from, learned.calibration_until)}: "
        f"{learned.repeat_buyers:,} customers came back, {learned.customers - learned.repeat_buyers:,} bought once.",
        f"Tested on the {hold_out.weeks:.4g} weeks after that, to {hold_out.until}, unseen by the models: "
        f"{hold_out.buyers:,} customers bought.",
    ]
    if bound:
        lines.append(f"Left out: {bound:,} customers who bought under obligation; they are bound by contract.")
    return lines


def _period(first: date, last: date) -> str:
    return f"{((last - first).days + 1) / 7:.4g} weeks, {first} to {last}"


def _parameters(learned: LearnedPurchases) -> list[str]:
    lines = ["What was learned (+/- is the standard error)"]
    for fit in learned.purchases:
        lines += [*_fit("BG/NBD, how often" if fit.model == "bg_nbd" else "MBG/NBD, how often", fit), _in_words(fit)]
    if learned.spend is not None:
        currency = f" in {learned.spend.currency}" if learned.spend.currency else ""
        lines += _fit(f"Gamma-Gamma, how much{currency}", learned.spend)
        correlation = learned.spend.frequency_spend_correlation
        if correlation is not None:
            lines.append(
                f"    Correlation of how often and how much people buy: {correlation:.3f}; the model assumes 0."
            )
    return lines


def _number(value: float) -> str:
    return f"{value:.3f}" if 0.0005 <= value < 10_000 else f"{value:.3g}"


def _in_words(fit: PurchaseFit) -> str:
    found = fit.parameters
    return (
        f"    In words: a customer buys {found.r / found.alpha:.3f} times a week, and after a purchase "
        f"{found.a / (found.a + found.b):.0%} leave for good, on average."
    )


def _fit(title: str, fit: PurchaseFit | SpendFit) -> list[str]:
    lines = [f"  {title}: log-likelihood {fit.log_likelihood:.2f}, {fit.customers:,} customers"]
    for name in fit.parameters.__struct_fields__:
        error = f"+/- {getattr(fit.standard_errors, name):<7.3f}" if fit.standard_errors else "not certain"
        lines.append(f"    {name:<6}{_number(getattr(fit.parameters, name)):>9} {error}  {MEANINGS[name]}")
    return lines


def _counts(learned: LearnedPurchases, found: Assessment) -> list[str]:
    hold_out = learned.hold_out
    rows = [
        (row.repeat_occasions, f"{row.customers:,}", f"{row.actual:.2f}", f"{row.bg_nbd:.2f}", f"{row.mbg_nbd:.2f}")
        for row in hold_out.rows
    ]
    totals = [f"{found.totals[name]:,.0f}" for name in ("bg_nbd", "mbg_nbd")]
    return [
        "Purchases in the test weeks: what happened, and what the models expected (averages per customer)",
        *_table(
            ("came back before", "customers", "happened", "BG/NBD", "MBG/NBD"),
            [*rows, ("all, together", f"{learned.customers:,}", f"{hold_out.occasions:,}", *totals)],
        ),
    ]


def _rankings(learned: LearnedPurchases, found: Assessment) -> list[str]:
    rows = [
        (RANKINGS[name], f"{value:.3f}") for name, value in sorted(learned.hold_out.auc.items(), key=lambda i: -i[1])
    ]
    low, high = found.verdict.low, found.verdict.high
    return [
        "Who will buy? How often a later buyer is ranked above a later non-buyer (AUC: 1 always, 0.5 by chance)",
        *_table(("ranked by", "AUC"), rows),
        f"  BG/NBD, expected purchases, minus who bought last: {found.verdict.model - found.verdict.baseline:+.3f} "
        f"(95 % interval {low:+.3f} to {high:+.3f})",
    ]


def _chances(found: Assessment) -> list[str]:
    errors = " and ".join(
        f"{100 * found.calibration_error[name]:.1f} ({title})"
        for name, title in (("bg_nbd", "BG/NBD"), ("mbg_nbd", "MBG/NBD"))
    )
    return [f"A predicted chance to buy is off by {errors} percentage points, on average."]


def _value(learning: Learning) -> list[str]:
    if learning.value is None:
        return ["Spend was left out."]
    value, spend = learning.value, learning.learned.spend
    currency = f" {spend.currency}" if spend and spend.currency else ""
    return [f"Spent in the test weeks: {value.actual:,.0f}{currency}; expected {value.expected:,.0f}{currency}."]


def _verdict(learning: Learning) -> list[str]:
    if learning.objections:
        said = [
            wrap(objection, 110, initial_indent="  - ", subsequent_indent="    ") for objection in learning.objections
        ]
        return ["Verdict: do not use it.", *(line for lines in said for line in lines)]
    return [
        "Verdict: it may be used. Expected purchases (BG/NBD) tell better who will buy than the date of the last",
        "purchase does, by more than chance could make it.",
        "And they say how many purchases to expect, which that date does not.",
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[i]) for line in (columns, *rows)) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  " + "  ".join((first, *others))

    return [line(columns), "  " + "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)]
