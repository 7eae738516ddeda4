"""``loyalty fit``: learn from history, say what was found, and write it down."""

import importlib.util
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.commands import output, purchase_sources
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.extras import remedy

if TYPE_CHECKING:
    from pipeline.fitting.purchases import Learning

LIBRARIES = ("numpy", "scipy", "matplotlib")


def purchases(
    source: str,
    settings: Callable[[], Settings],
    *,
    weeks: int | None,
    until: date | None,
    horizon: float | None,
    currency: str | None,
    spend: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> bool:
    """Fit the purchase models, report, and write report, pictures and parameters into ``out``; is it of use?

    Raises
    ------
    Refused
        The history cannot be learned from, or what was learned should not be used and nobody forced it.
    """
    _refuse_without_libraries()
    from pipeline.fitting import history, report  # noqa: PLC0415 - slow to import, and from an extra
    from pipeline.fitting import purchases as fitting  # noqa: PLC0415

    if weeks is not None and until is not None:
        raise Refused("--calibration-weeks and --calibration-until say the same thing; give one of them")
    folder = None if out is None else _folder(out)
    log = history.log_of(purchase_sources.rows(source, settings), currency, spend=spend)
    cut = history.split(log, weeks, until, horizon)
    with output.bar(unit="starts") as bar:
        task = bar.add_task(f"Fitting {len(cut.seen.x):,} customers", total=fitting.steps(spend=spend))
        learning = fitting.learn(cut, source, lambda: bar.advance(task), force=force)
    lines, data = report.as_lines(learning), msgspec.to_builtins(report.as_data(learning))
    if as_json:
        output.as_json(data)
    for line in () if as_json else lines:
        output.say(line)
    if folder is not None:
        names = _write(learning, lines, data, folder, force=force)
        forced = " Forced, and the parameter file says so." if learning.learned.forced else ""
        if not as_json:
            output.say(f"Written to {folder}: {', '.join(names)}.{forced}")
    return force or not learning.objections


def _write(learning: "Learning", lines: list[str], data: Any, folder: Path, *, force: bool) -> list[str]:
    """Reports and pictures always, because they say why; then the parameters, if nothing speaks against them."""
    from pipeline.fitting import pictures  # noqa: PLC0415
    from pipeline.fitting import purchases as fitting  # noqa: PLC0415

    (folder / "report.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
    drawn = pictures.draw(learning.assessment, folder)
    written = fitting.ship(learning, folder, force=force)
    return [written.name, *(path.name for path in drawn), "report.txt", "report.json"]


def _refuse_without_libraries() -> None:
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"{', '.join(missing)} missing; {remedy('fit')}")


def _folder(out: Path) -> Path:
    folder = out.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise Refused(f"cannot make the folder {folder}: {failed.strerror}; choose another --out") from None
    return folder
