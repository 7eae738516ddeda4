"""The two pictures of a fit, as PNG: does the model follow the whole, and are its chances what they claim to be?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from pipeline.core.forecast.purchasing import Leaving
from pipeline.fitting.assessment import Assessment, Bin, Group, Tracking

NAMES = {str(Leaving.AFTER_REPEAT_PURCHASES): "BG/NBD", str(Leaving.AFTER_ANY_PURCHASE): "MBG/NBD"}
COLOURS = {str(Leaving.AFTER_REPEAT_PURCHASES): "#1f5fa8", str(Leaving.AFTER_ANY_PURCHASE): "#d1661c"}
ACTUAL = "#333333"
DPI = 120


def draw(assessment: Assessment, folder: Path) -> list[Path]:
    """Write ``tracking.png`` and ``reliability.png``; returns their paths."""
    return [
        _saved(_tracking(assessment.tracking), folder / "tracking.png"),
        _saved(_reliability(assessment), folder / "reliability.png"),
    ]


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DPI, metadata={"Software": "loyalty"})
    return path


def _figure(width: float, columns: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    return figure, axes


def _tracking(tracking: Tracking) -> Figure:
    figure, (ax,) = _figure(8, 1)
    ax.plot(tracking.weeks, tracking.actual, color=ACTUAL, linewidth=2, label="what happened")
    for name, expected in tracking.expected.items():
        ax.plot(tracking.weeks, expected, color=COLOURS[name], linestyle="--", label=f"{NAMES[name]} expected")
    ax.axvline(tracking.until, color="grey", linewidth=1)
    top = 1.04 * max(tracking.actual.max(), *(e.max() for e in tracking.expected.values()))
    ax.set(
        xlim=(0, tracking.weeks[-1]), ylim=(0, top), xlabel="weeks since the first purchase of all",
        ylabel="repeat purchases so far, all customers",
        title="Left of the line the models learned; right of it they only predict",
    )  # fmt: skip
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.legend(frameon=False)
    return figure


def _reliability(assessment: Assessment) -> Figure:
    figure, (chances, groups) = _figure(11, 2)
    chances.plot([0, 1], [0, 1], color="grey", linewidth=1, label="exactly right")
    for name, bins in assessment.bins.items():
        _chances(chances, name, bins)
    chances.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="predicted chance to buy in the hold-out", ylabel="share that bought",
        title="A point on the line is a chance that holds",
    )  # fmt: skip
    chances.legend(frameon=False, title="tenths of the customers, 95 % margin")
    _groups(groups, assessment.groups)
    return figure


def _chances(ax: Axes, name: str, bins: Sequence[Bin]) -> None:
    margins = np.array([_margin(found) for found in bins]).T
    ax.errorbar(
        [found.predicted for found in bins], [found.bought for found in bins], yerr=margins, color=COLOURS[name],
        marker="o", markersize=4, linewidth=1, capsize=2, label=NAMES[name],
    )  # fmt: skip


def _margin(found: Bin) -> tuple[float, float]:
    """How far Wilson's 95 % interval reaches below and above the share that bought."""
    z2, n, share = 1.96**2, found.customers, found.bought
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, share - centre + half), max(0.0, centre + half - share)


def _groups(ax: Axes, groups: Sequence[Group]) -> None:
    places = range(len(groups))
    ax.plot(places, [g.actual for g in groups], color=ACTUAL, marker="s", linewidth=2, label="what happened")
    for name in groups[0].expected:
        ax.plot(
            places, [g.expected[name] for g in groups], color=COLOURS[name], marker="o", linestyle="--",
            label=f"{NAMES[name]} expected",
        )  # fmt: skip
    ax.set_xticks(list(places), [g.repeat for g in groups])
    ax.set(
        xlabel="repeat purchases in the calibration period",
        ylabel="purchases in the hold-out, on average", ylim=(0, None),
        title="Average purchases after, by purchases before",
    )  # fmt: skip
    ax.legend(frameon=False)
