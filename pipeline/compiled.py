"""``python -m pipeline.compiled``: compile what every event passes through, in place.

Optional. The same modules, made into C by mypyc, behave the same (the tests of the core run on both); the worker takes
about 60 % of the time then, the sink nine tenths. Needs mypyc (in the extra ``dev``) and a C compiler.
``--clean`` takes it back.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.errors import LoyaltyError, Refused
from pipeline.exits import leave
from pipeline.extras import remedy

MODULES = (
    "core/risk/changed_issues.py",
    "core/risk/alert_evaluation.py",
    "core/risk/alerts.py",
    "core/risk/event_routes.py",
    "core/risk/evidence.py",
    "core/risk/issue_facts.py",
    "core/risk/terms.py",
    "core/state/profile_fold.py",
    "core/contract/checks.py",
    "core/contract/currencies.py",
    "core/state/days.py",
    "core/contract/decode.py",
    "core/fold.py",
    "core/state/marks.py",
    "core/contract/moments.py",
    "core/contract/partitioner.py",
    "core/risk/assessment.py",
    "core/reconciliation.py",
    "core/risk/alert_text.py",
    "flow.py",
    "fold_result.py",
    "folding.py",
    "records.py",
    "sink/rows.py",
)
"""What is compiled: pure functions; the structs stay as they are."""
PACKAGE = Path(__file__).parent
RECORD = "compiled.txt"
"""Lists what a build made; other packages keep libraries of the same kind in the same folder."""


def made(package: Path = PACKAGE) -> list[Path]:
    """The files a build made: the modules next to their sources, and a library they share above the package."""
    try:
        names = (package / RECORD).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [package.parent / name for name in names]


def clean(package: Path = PACKAGE) -> int:
    """Remove what a build made, and nothing else; returns how many files there were."""
    found = made(package)
    for path in found:
        path.unlink(missing_ok=True)
    (package / RECORD).unlink(missing_ok=True)
    return len(found)


def build(package: Path = PACKAGE) -> list[Path]:
    """Compile the modules of a package and put them next to their sources.

    Raises
    ------
    Refused
        mypyc or a C compiler is missing, or the modules do not compile.
    """
    if importlib.util.find_spec("mypyc") is None:
        raise Refused(f"mypyc is missing; {remedy('dev')}")
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        raise Refused("there is no C compiler; install one (Debian: apt-get install gcc)")
    clean(package)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / package.name
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so", "data"))
        sources = [str(copy / module) for module in MODULES]
        command = [sys.executable, "-m", "mypyc", "--ignore-missing-imports", *sources]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            raise Refused(f"mypyc failed: {' '.join((done.stderr or done.stdout).split())[-500:]}")
        built = sorted({path.relative_to(folder) for path in Path(folder).rglob("*.so") if "build" not in path.parts})
        (package / RECORD).write_text("".join(f"{path}\n" for path in built), encoding="utf-8")
        for path in built:
            shutil.copy(Path(folder) / path, package.parent / path)
    return made(package)


def main() -> int:
    """Compile, or with ``--clean`` remove what was compiled."""
    try:
        if "--clean" in sys.argv[1:]:
            print(f"Removed {clean()} files.")
        else:
            print(f"Compiled {len(MODULES)} modules into {len(build())} files.")
    except LoyaltyError as failed:
        print(f"loyalty: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


if __name__ == "__main__":
    leave(main())
