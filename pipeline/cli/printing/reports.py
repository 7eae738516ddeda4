"""Prints the reports of ``loyalty report``: every figure with its n and its meaning."""

from collections.abc import Sequence
from datetime import datetime
from math import isinf
from typing import Any

from pipeline.analysis.holdout_effect import HoldoutEffect
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.measures.effect import in_words
from pipeline.core.measures.effort_totals import OriginEffort
from pipeline.core.measures.intervals import Change, Estimate
from pipeline.core.measures.shift import Ratio
from pipeline.core.measures.surveys import FOLLOW_UP, Nps


def _say_head(data: dict[str, Any]) -> None:
    since = f" since {data['since']}" if data["since"] else ""
    known = f"what is known{since}, of {data['customers_known']} customers"
    output.say(f"{as_of(AnswerMoment(datetime.fromisoformat(data['at']), data['at_basis']))}: {known}.")


# --- surveys


NAMES = {
    "ces1": "ease (CES 1)",
    "ces2": "ease (CES 2)",
    "csat": "satisfied (CSAT)",
    "repurchase_intent": "would buy again",
}
_GOOD = {"ces1": "easy", "ces2": "easy"}


def surveys(data: dict[str, Any]) -> None:
    """What customers said, for a person."""
    _say_head(data)
    score: Nps | None = data["nps"]
    if score is None and not data["ratings"]:
        output.say("Nobody answered a survey.")
        return
    output.say(f"{data['customers']} customers answered, each counted once per question with the newest answer.")
    _say_synthetic(data["customers_with_synthetic_events"], "of them", "have synthetic events")
    _show_nps(score, data["nps_change"])
    rows = [_rating_row(entry) for entry in data["ratings"]]
    if rows:
        compared = any(len(row) > 5 for row in rows)
        columns = ["asked", "scale", "n", "mean, 0 worst to 1 best", "good answers", *(["change"] if compared else [])]
        output.table(columns, [[*row, *([""] * (len(columns) - len(row)))] for row in rows])
    output.say("In brackets: the 95 % interval. Satisfaction looks back and is no part of loyalty.")


def _show_nps(score: Nps | None, change: Change | None) -> None:
    if score is None:
        output.say("Nobody was asked for a recommendation.")
        return
    low, high = score.adjusted
    output.say(f"Recommendation (NPS): {score.score:.1f} points ({low:.1f} to {high:.1f}), n {score.n}.")
    counts = {"detractor": score.detractors, "passive": score.passives, "promoter": score.promoters}
    for kind, action in FOLLOW_UP.items():
        output.say(f"  {counts[kind]} {kind}s ({counts[kind] / score.n:.0%}). {action}")
    if change is not None:
        output.say(
            f"  Against the period before: {change.difference:+.1f} points ({change.low:+.1f} to {change.high:+.1f}): "
            f"{change.verdict}."
        )


def _rating_row(entry: dict[str, Any]) -> list[str]:
    good: Estimate | None = entry["good"]
    what = _GOOD.get(entry["question"], "two best")
    shown = "" if good is None else f"{good.value:.0%} {what} ({good.low:.0%} to {good.high:.0%})"
    mean: Estimate = entry["mean"]
    row = [
        NAMES.get(entry["question"], entry["question"]),
        f"{entry['low']} to {entry['high']}",
        str(mean.n),
        f"{mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})",
        shown,
    ]
    change: Change | None = entry["mean_change"]
    if change is not None:
        row.append(f"{change.difference:+.2f} ({change.low:+.2f} to {change.high:+.2f}): {change.verdict}")
    return row


def _say_synthetic(count: int, of: str, have: str) -> None:
    if count:
        output.say(f"{count} {of} {have}: generated, not observed.")


# --- effort


def effort(data: dict[str, Any]) -> None:
    """What it cost them, for a person."""
    _say_head(data)
    origins: Sequence[OriginEffort] = data["origins"]
    if not origins:
        output.say("Nobody contacted service.")
        return
    everything = origins[0]
    output.say(f"{everything.contacts} contacts about {everything.issues} issues.")
    _say_synthetic(everything.synthetic_issues, "of the issues", "have synthetic contacts")
    output.table(
        ["origin", "issues", "solved at first contact", "agents say", "still open to change", "effortless"],
        [
            [
                entry.origin,
                entry.issues,
                _share(entry.first_contact_resolution),
                _share(entry.agents_claim),
                f"{entry.provisional} ({entry.provisional_solved} solved so far)" if entry.provisional else "0",
                _share(entry.effortless),
            ]
            for entry in origins
        ],
    )
    output.table(
        ["origin", "issues", "contacts", "again in 7 d", "in 30 d", "passed on", "channel changed", "said again",
         "reopened", "waited", "tried alone first", "until solved"],
        [_cost_row(entry) for entry in origins],
    )  # fmt: skip
    for line in _EFFORT_WORDS:
        output.say(line)


_EFFORT_WORDS = (
    "Solved at first contact: called solved, and the customer did not come back about it for 30 days, nor about the "
    "same origin for 7. Agents say: the same issues by their word alone.",
    "Second table: per issue; waiting per contact; until solved: mean of the issues that are called solved.",
    "In brackets: the 95 % interval and n.",
)


def _share(estimate: Estimate | None) -> str:
    return (
        "" if estimate is None else f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%}, n {estimate.n})"
    )


def _cost_row(entry: OriginEffort) -> list[str]:
    counts = (
        entry.contacts_per_issue,
        entry.repeats_7_days_per_issue,
        entry.repeats_30_days_per_issue,
        entry.transfers_per_issue,
        entry.channel_switches_per_issue,
        entry.information_repetitions_per_issue,
        entry.reopenings_per_issue,
    )
    took = entry.days_to_resolution
    return [
        entry.origin,
        str(entry.issues),
        *(f"{count:.2f}" for count in counts),
        f"{entry.waiting_minutes_per_contact:.0f} min",
        f"{entry.self_service_first.value:.0%}",
        "" if took is None else f"{took:.1f} days (n {entry.called_solved})",
    ]


# --- shift


def shift(data: dict[str, Any]) -> None:
    """What became of them, for a person."""
    _say_head(data)
    loyalty: Ratio = data["shift"]
    if not loyalty.customers:
        output.say("No customer contacted service after a first purchase.")
        return
    output.say(f"{loyalty.customers} customers, each by one contact drawn among theirs.")
    _say_synthetic(loyalty.synthetic, "of these contacts", "are synthetic")
    output.say(f"  less loyal afterwards  {loyalty.less}")
    output.say(f"  the same               {loyalty.same}")
    output.say(f"  more loyal afterwards  {loyalty.more}")
    reasons = ", ".join(f"{count} {why}" for why, count in loyalty.undecided.items() if count)
    output.say(f"  undecided              {sum(loyalty.undecided.values())}{f' ({reasons})' if reasons else ''}")
    for signal, signs in loyalty.by_signal.items():
        output.say(f"  by {signal}: {signs['less']} less, {signs['same']} the same, {signs['more']} more")
    output.say(_ratio_words(loyalty))
    output.say(
        f"Loyalty: days with a voluntary purchase in {loyalty.window_days} days after the contact and in as many "
        "before, and recommendation before and after. Satisfaction does not count."
    )
    output.say("Customers also drift away without a contact; that is in this ratio too.")


def _ratio_words(loyalty: Ratio) -> str:
    ratio = loyalty.ratio
    if ratio is None:
        return "Nobody became less or more loyal, so there is no ratio (published: 4 : 1)."
    value = f"{ratio.value:.1f} : 1" if not isinf(ratio.value) else "nobody became more loyal"
    high = f"to {ratio.high:.1f}" if not isinf(ratio.high) else "or more"
    return (
        f"Disloyal : loyal  {value} ({ratio.low:.1f} {high}, n {ratio.n}), {loyalty.against_published}, "
        "the ratio that CEB published."
    )


def effect(measured: HoldoutEffect) -> None:
    """The effect of acting on alerts."""
    output.say(f"{as_of(measured.moment)}.")
    drawn = f"Experiment {output.clean(measured.experiment)}" if measured.experiment else "Drawn from ids of alerts"
    output.say(f"{drawn}; left: nothing bought voluntarily within {measured.days} days after the first alert.")
    output.say(in_words(measured.found))
