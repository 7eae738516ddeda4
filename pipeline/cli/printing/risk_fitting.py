"""Prints what the fit of the churn risk learned, for a person who is no statistician."""

import math
from collections.abc import Iterator
from pathlib import Path

from pipeline.analysis import risk_fitting
from pipeline.cli.printing import output
from pipeline.cli.printing.tables import Column, prose
from pipeline.errors import Refused
from pipeline.fitting.coefficients import day
from pipeline.fitting.learned_terms import LearnedTerm
from pipeline.fitting.risk import STRENGTHS, LearnedRisk
from pipeline.fitting.scoring import BINS
from pipeline.simulate.truth import HIDDEN


def conclude(
    learned: LearnedRisk, policy_file: Path, picture: Path, *, force: bool, as_json: bool, simulated: bool
) -> None:
    """Report what was learned; the picture is written in any case, the policy only when it deserves it, or by force.

    Raises
    ------
    Refused
        It does not deserve it.
    """
    ships = risk_fitting.write(learned, policy_file, picture, force=force)
    if as_json:
        files = {"policy": str(policy_file) if ships else None, "picture": str(picture)}
        output.as_json(risk_fitting.as_data(learned) | files)
    else:
        show(learned, simulated=simulated)
        output.say(f"The picture of this comparison is {picture}.")
    if not ships:
        raise Refused(
            "what was learned does not beat the days since the last purchase in both AUC and log loss by more than "
            "chance could make it, so no policy is written; learn from a longer history, or write it all the same with "
            "--force"
        )
    if not as_json:
        output.say(f"Policy {learned.policy.version} is written to {policy_file}. No process uses it by itself.")


def show(learned: LearnedRisk, *, simulated: bool) -> None:
    """For a person who is not a statistician: what was learned from, what was learned, how good it is."""
    for line in _story(learned):
        output.say(line)
    planted = simulated and learned.per == "issue"
    output.table(*_coefficients(learned, planted=planted))
    if planted:
        output.say(
            "Planted is what makes a simulated customer leave for good. Silence also counts those who only buy "
            "rarely, so what is learned from it is paler; a longer silence comes nearer (--gaps 8 --longest 730)."
        )
    output.say(_acting(learned.acting))
    output.table(*_comparison(learned))
    output.say(_load(learned))
    output.say(_verdict(learned))


def _story(learned: LearnedRisk) -> Iterator[str]:
    counts, silence = learned.counts, learned.silence
    synthetic = {0: "", counts["contacts"]: " All of it is synthetic: a demonstration, not evidence."}.get(
        counts["synthetic"], f" {counts['synthetic']:,} of the contacts are synthetic."
    )
    yield (
        f"Read {counts['contacts']:,} service contacts of {counts['customers']:,} customers, up to "
        f"{day(learned.ends_at)}.{synthetic}"
    )
    yield (
        f"Silence after a contact: no voluntary purchase for {silence.gaps:g} times the customer's own usual gap "
        f"between purchases ({learned.typical_gap_days:.0f} days for who has none yet), at least "
        f"{silence.shortest_days:.0f} and at most {silence.longest_days:.0f} days. One observation per {learned.per}; "
        f"of {counts['known']:,} it is known what came."
    )
    yield (
        f"Learned from {counts['earlier']:,} whose outcome was known by {day(learned.split_at)} "
        f"({learned.silent_share['earlier']:.0%} fell silent), tested on {counts['later']:,} after that day "
        f"({learned.silent_share['later']:.0%}) that the desk did not act on. "
        f"How much the priors count was tried on the last part of what was learned from: {learned.strength:g} is best, "
        f"between {STRENGTHS[0]:g} (hardly) and {STRENGTHS[-1]:,.0f} (entirely)."
    )


def _coefficients(learned: LearnedRisk, *, planted: bool) -> tuple[list[str | Column], list[list[str]]]:
    names: list[str | Column] = ["term", "prior", "learned", "95 % interval", "in the policy", prose("note")]
    rows = [
        [t.term, f"{t.prior:+.2f}", _number(t.learned), _interval(t), f"{t.used:+.2f}", t.note] for t in learned.terms
    ]
    if planted:
        names.insert(2, "planted")
        for row in rows:
            row.insert(2, f"{getattr(HIDDEN, row[0], 0.0):+.2f}")
    return names, rows


def _interval(term: LearnedTerm) -> str:
    return "" if math.isnan(term.low) else f"{term.low:+.2f} to {term.high:+.2f}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.2f}"


def _acting(acting: LearnedTerm | None) -> str:
    if acting is None:
        return "The desk acted too rarely to say what acting changes."
    sense = "less" if acting.learned < 0 else "more"
    clear = acting.high < 0 or acting.low > 0
    return (
        f"Where the desk acted, the risk was {sense} by {abs(acting.learned):.2f} logits ({_interval(acting)}), "
        + ("" if clear else "which can be chance, ")
        + "everything above being equal. The policy leaves this out: it says what happens when nobody acts. "
        "Only a held-out share of alerts shows what acting really changes."
    )


_FIGURES = (
    ("auc", "ranks right (AUC, 0.5 is chance, higher is better)", ".3f"),
    ("log_loss", "log loss (lower is better)", ".3f"),
    ("brier", "squared error (Brier, lower is better)", ".3f"),
    ("ece", f"off on average (ECE, {BINS} classes, lower is better)", ".3f"),
    ("lift", "silent among the top 10 %, times the average (lift)", ".2f"),
    ("precision_at_capacity", "silent among those the desk reaches", ".1%"),
)


def _comparison(learned: LearnedRisk) -> tuple[list[str | Column], list[list[str]]]:
    ways = ("learned", "priors", "recency")
    return (
        [prose("tested on what came later"), "learned", "priors", "days since last purchase"],
        [[words, *(format(getattr(learned.compared[way], name), style) for way in ways)]
         for name, words, style in _FIGURES],
    )  # fmt: skip


def _load(learned: LearnedRisk) -> str:
    all_ = learned.per_day >= learned.busiest_day
    reached = "all of them" if all_ else f"the {learned.per_day} highest of each day"
    return (
        f"{learned.per.capitalize()}s a day in the later part: {learned.per_day_later:.1f}; the desk reaches "
        f"{reached}. At its threshold of {learned.policy.raise_at:.0%} the learned policy would raise the alarm for "
        f"{learned.alarms['learned']:.1f} a day, the priors for {learned.alarms['priors']:.1f}."
    )


def _verdict(learned: LearnedRisk) -> str:
    if learned.beats_recency:
        return "What was learned ranks and predicts better than the days since the last purchase, beyond chance."
    return (
        "What was learned is NOT better than the days since the last purchase by more than chance could make it: the "
        f"95 % intervals of its lead begin at {learned.lead.auc:+.4f} (AUC), {learned.lead.log_loss:+.4f} (log loss)."
    )
