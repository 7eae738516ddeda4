"""The reliability picture: what was predicted against what happened, as a PNG."""

from pathlib import Path

from matplotlib.figure import Figure

from pipeline.errors import Refused
from pipeline.fitting.coefficients import day
from pipeline.fitting.risk import LearnedRisk
from pipeline.fitting.scoring import BINS, Class

STYLES = {
    "learned": ("#1b6ca8", "o", "learned"),
    "priors": ("#d1892b", "s", "priors"),
    "recency": ("#8a8a8a", "^", "days since last purchase"),
}


def draw(learned: LearnedRisk, path: Path) -> None:
    """Draw how reliable the risks are on the contacts that were not learned from.

    Raises
    ------
    Refused
        The file cannot be written.
    """
    figure = Figure(figsize=(7, 7.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    upper.plot((0, 1), (0, 1), color="#c8c8c8", linewidth=1, zorder=0)
    upper.annotate("exactly right", (0.84, 0.77), color="#9a9a9a", rotation=39, fontsize=8)
    for name in ("recency", "priors", "learned"):
        colour, mark, words = STYLES[name]
        classes = learned.classes[name]
        label = f"{words}: AUC {learned.compared[name].auc:.3f}, ECE {learned.compared[name].ece:.3f}"
        upper.errorbar(
            [one.risk for one in classes],
            [one.silent for one in classes],
            yerr=_whiskers(classes),
            color=colour, marker=mark, label=label, linewidth=1.5, capsize=2, elinewidth=0.8,
        )  # fmt: skip
    synthetic = ", synthetic" if learned.counts["synthetic"] else ""
    upper.set(
        title=f"Does it happen as often as predicted?\n{learned.counts['later']:,} {learned.per}s from "
        f"{day(learned.split_at)} on that were not learned from{synthetic}",
        ylabel="fell silent (bars: 95 % interval)", xlim=(0, 1), ylim=(0, 1),
    )  # fmt: skip
    upper.legend(loc="upper left", frameon=False)
    lower.bar(
        [one.risk for one in learned.classes["learned"]],
        [one.contacts for one in learned.classes["learned"]],
        width=0.6 / BINS, color=STYLES["learned"][0],
    )  # fmt: skip
    lower.set(xlabel=f"predicted risk of falling silent ({BINS} classes)", ylabel=f"{learned.per}s (learned)")
    try:
        figure.savefig(path, format="png")
    except OSError as failed:
        raise Refused(f"cannot write the picture to {path}: {failed.strerror}") from None


def _whiskers(classes: list[Class]) -> tuple[list[float], list[float]]:
    return [max(0.0, one.silent - one.low) for one in classes], [max(0.0, one.high - one.silent) for one in classes]
