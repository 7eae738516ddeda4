"""``loyalty fit purchases`` as a person and as a program see it."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.forecast.learned import decode
from pipeline.core.forecast.purchasing import Leaving
from pipeline.errors import Refused
from pipeline.fitting import pictures, report
from pipeline.fitting.purchases import Learning, learn, ship
from tests.fitting.samples import sample

PNG = b"\x89PNG\r\n\x1a\n"


def fit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "fit", "purchases", *arguments],
        capture_output=True, text=True, timeout=240, check=False, cwd=cwd,
    )  # fmt: skip


@pytest.fixture(scope="module")
def learning() -> Learning:
    return learn(sample(), "cdnow-sample", lambda: None, force=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves behind on the sample."""
    out = tmp_path_factory.mktemp("fit")
    done = fit("cdnow-sample", "--calibration-weeks", "39", "--out", "new/fit", "--force", cwd=out)
    assert done.returncode == 0, done.stderr
    (out / "said.txt").write_text(done.stdout)
    (out / "progress.txt").write_text(done.stderr)
    return out


def test_a_person_reads_parameters_hold_out_baseline_and_verdict(folder: Path) -> None:
    said = (folder / "said.txt").read_text()
    for line in (
        "Learned from 39 weeks, 1997-01-01 to 1997-09-30: 946 customers came back, 1,411 bought once.",
        "BG/NBD, how often: log-likelihood -9582.43, 2,357 customers",
        "    r         0.243 +/- ",
        "  all, together         2,357     1,882",
        "  who bought last (no model)          0.771",
        "  BG/NBD, P(alive): never rank by it  0.316",
        "Verdict: do not use it.",
    ):
        assert line in said
    report_lines = (folder / "new/fit/report.txt").read_text(encoding="utf-8").splitlines()
    assert max(map(len, report_lines)) <= 115
    assert said.startswith((folder / "new/fit/report.txt").read_text())
    assert "14/14" in (folder / "progress.txt").read_text()


def test_the_folder_holds_parameters_reports_and_pictures(folder: Path) -> None:
    files = {path.name: path for path in (folder / "new/fit").iterdir()}
    assert files.keys() == {"parameters.json", "report.txt", "report.json", "tracking.png", "reliability.png"}
    assert all(files[name].read_bytes().startswith(PNG) for name in ("tracking.png", "reliability.png"))
    learned = decode(files["parameters.json"].read_bytes())
    assert round(learned.purchase_model(Leaving.AFTER_REPEAT_PURCHASES).alpha, 3) == 4.414
    assert (learned.forced, learned.hold_out.beats_baseline) == (True, False)
    assert learned.version == f"purchases-1997-09-30-{learned.data_sha256[:8]}"
    assert json.loads(files["report.json"].read_bytes())["parameters"]["version"] == learned.version


@pytest.mark.extended
def test_the_same_history_gives_the_same_bytes(learning: Learning, folder: Path, tmp_path: Path) -> None:
    for path in (ship(learning, tmp_path, force=True), *pictures.draw(learning.assessment, tmp_path)):
        assert path.read_bytes() == (folder / "new/fit" / path.name).read_bytes()


def test_a_program_reads_one_value(tmp_path: Path) -> None:
    done = fit("cdnow-sample", "--no-spend", "--horizon", "13", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["parameters"]["spend"] is None
    assert found["parameters"]["hold_out"]["weeks"] == 13
    assert [said[:50] for said in found["objections"]] == ["expected purchases rank customers no better than t"]
    assert list(tmp_path.iterdir()) == [], "without --out nothing is written"


def worse(learning: Learning) -> Learning:
    """The same fit, had it lost against the baseline."""
    return replace(learning, objections=["expected purchases rank customers no better (AUC 0.6 against 0.7)"])


def test_what_does_not_beat_the_baseline_is_not_written(learning: Learning, tmp_path: Path) -> None:
    (tmp_path / "parameters.json").write_text("the one in use")
    with pytest.raises(Refused, match=r"no parameters were written: expected purchases rank .* --force"):
        ship(worse(learning), tmp_path, force=False)
    assert (tmp_path / "parameters.json").read_text() == "the one in use"
    assert [path.name for path in tmp_path.iterdir()] == ["parameters.json"]
    assert "Verdict: do not use it." in report.as_lines(worse(learning))


def reversed_habits(customers: int = 400) -> str:
    """Who bought often and lately stays away afterwards; who was silent comes back: no model of habits can win."""
    lines = ["customer_id,date,amount,currency"]
    for n in range(customers):
        often = n % 2
        days = [1, 2 + n % 20, 60 + n % 20, 80 + n % 9] if often else [1 + n % 30, *((33,) if n % 4 else ())]
        lines += [f"c{n},{day_text(day)},{10 + n % 7}.50,EUR" for day in days]
        lines += [] if often else [f"c{n},{day_text(120 + n % 60)},20.00,EUR"]
    return "\n".join(lines) + "\n"


def day_text(day: int) -> str:
    return f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}"


@pytest.mark.extended
def test_a_model_that_loses_against_the_baseline_needs_force(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(reversed_habits())
    arguments = ("shop.csv", "--calibration-until", "2026-04-15", "--out", "fit")
    refused = fit(*arguments, cwd=tmp_path)
    assert refused.returncode == 4
    assert "no better than the date of their last purchase" in refused.stderr
    assert "--force" in refused.stderr
    assert (tmp_path / "fit/report.txt").exists(), "the report says why"
    assert not (tmp_path / "fit/parameters.json").exists()
    assert fit(*arguments[:-2], cwd=tmp_path).returncode == 1, "a report alone says no by its exit code"
    forced = fit(*arguments, "--force", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert forced.stdout.rstrip().endswith("Forced, and the parameter file says so.")
    learned = decode((tmp_path / "fit/parameters.json").read_bytes())
    assert (learned.forced, learned.hold_out.beats_baseline) == (True, False)


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "both ends": (("cdnow-sample", "--calibration-weeks", "9", "--calibration-until", "1997-05-01"), 4, "give one"),
    "no such source": (("nowhere.csv",), 1, "warehouse, cdnow, cdnow-sample, or a CSV file that exists"),
    "no hold-out": (("cdnow-sample", "--calibration-weeks", "78"), 4, "no hold-out"),
    "too small": (("cdnow-sample", "--calibration-weeks", "2"), 4, "(50 are needed)"),
    "no such day": (("cdnow-sample", "--calibration-until", "1997-02-30"), 2, "1997-02-30"),
    "a horizon that is no number": (("cdnow-sample", "--horizon", "nan"), 4, "cannot be tested"),
    "a currency nobody paid in": (("cdnow-sample", "--currency", "EUR"), 4, "nothing was paid in EUR; there is USD"),
    "an output that is a file": (("cdnow-sample", "--out", "taken/fit"), 4, "choose another --out"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_clear_line(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = fit(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules.update(numpy=None, scipy=None, matplotlib=None)\n"
        "from pipeline.cli import main\nsys.argv = ['loyalty', 'fit', 'purchases', 'cdnow-sample']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path
    )
    assert done.returncode == 4
    said = "loyalty: numpy, scipy, matplotlib missing; install what it needs: "
    assert done.stderr.startswith(said)
    words = shlex.split(done.stderr.removeprefix(said))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    asked = subprocess.run(
        [*words, "--dry-run", "--no-index"], capture_output=True, text=True, timeout=240, check=False
    )
    assert asked.returncode == 0, asked.stderr  # it needs nothing but what it names, and those are here
    assert sorted(word.partition(">")[0] for word in words[4:]) == ["matplotlib", "numpy", "scipy"]


@pytest.mark.parametrize("date", ["0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1899-12-30"])
def test_a_date_that_stands_for_none_is_one_line(tmp_path: Path, date: str) -> None:
    file = tmp_path / "p.csv"
    file.write_text(f"customer_id,date,amount\n1,{date},9.90\n")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "fit", "purchases", str(file), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert f"line 2: date {date!r}" in done.stderr
