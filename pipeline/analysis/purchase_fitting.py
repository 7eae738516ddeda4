"""Learns purchase models from history, and writes what was learned into a folder."""

import importlib.util
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pipeline.analysis import purchase_sources
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.extras import remedy
from pipeline.progress import Meter, silent

if TYPE_CHECKING:
    from pipeline.fitting.purchases import Learning

LIBRARIES = ("numpy", "scipy", "matplotlib")


class FittedPurchases(NamedTuple):
    """What was learned, and the report about it: lines for a person, data for a program."""

    learning: "Learning"
    lines: list[str]
    data: Any


def fit_purchases(
    source: str,
    settings: Callable[[], Settings],
    meter: Meter = silent,
    *,
    weeks: int | None,
    until: date | None,
    horizon: float | None,
    currency: str | None,
    spend: bool,
    force: bool,
) -> FittedPurchases:
    """Fit the purchase models and test them on unseen weeks.

    Raises
    ------
    Refused
        The history cannot be learned from.
    """
    check_libraries()
    from pipeline.fitting import history, report  # noqa: PLC0415 - slow to import, and from an extra
    from pipeline.fitting import purchases as fitting  # noqa: PLC0415

    if weeks is not None and until is not None:
        raise Refused("--calibration-weeks and --calibration-until say the same thing; give one of them")
    log = history.log_of(purchase_sources.rows(source, settings), currency, spend=spend)
    cut = history.split(log, weeks, until, horizon)
    steps, started = fitting.steps(spend=spend), count(1)
    with meter(f"Fitting {len(cut.seen.x):,} customers", "starts") as progress:
        learning = fitting.learn(cut, source, lambda: progress(next(started), steps), force=force)
    return FittedPurchases(learning, report.as_lines(learning), msgspec.to_builtins(report.as_data(learning)))


def write(fitted: FittedPurchases, folder: Path, *, force: bool) -> list[str]:
    """Write reports and pictures always, because they say why; then the parameters, if nothing speaks against them.

    Raises
    ------
    Refused
        What was learned should not be used, and nobody forced it.
    """
    from pipeline.fitting import pictures  # noqa: PLC0415
    from pipeline.fitting import purchases as fitting  # noqa: PLC0415

    learning, lines, data = fitted
    (folder / "report.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
    drawn = pictures.draw(learning.assessment, folder)
    written = fitting.ship(learning, folder, force=force)
    return [written.name, *(path.name for path in drawn), "report.txt", "report.json"]


def check_libraries() -> None:
    """Refuse where the libraries of the extra are missing.

    Raises
    ------
    Refused
        One of them is.
    """
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"{', '.join(missing)} missing; {remedy('fit')}")


def folder_of(out: Path) -> Path:
    """The folder, which is there then.

    Raises
    ------
    Refused
        It cannot be made.
    """
    folder = out.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise Refused(f"cannot make the folder {folder}: {failed.strerror}; choose another --out") from None
    return folder
