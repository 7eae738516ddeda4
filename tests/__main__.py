"""``python -m tests``: lint, strict types, every guarantee on the real parts. ``--all`` adds everything but the soaks.

Says at once what runs and how long each step takes on two ordinary cores. What follows is handed to pytest, and then
nothing else decides which tests run: ``python -m tests -m soak``.

With ``--all`` the quick tests are not run a second time when they have just passed on these very files.
"""

import subprocess
import sys
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
PASSED = ROOT / ".pytest_cache" / "quick-tests-passed"
WATCHED = ("pipeline", "tests", "schemas", "deploy", ".ci")

LINT = (
    (["ruff", "format", "--check", "."], "layout, a second"),
    (["ruff", "check", "."], "lint, a second"),
)
TYPES = (["mypy"], "strict types, a minute, beside the tests")
PYTEST = ["pytest", "-p", "tests.progress", "-n", "4", "--dist", "loadgroup", "--no-loadscope-reorder"]
QUICK = (
    [*PYTEST, "--hypothesis-profile", "quick", "-m", "not soak and not extended"],
    "every guarantee, on real brokers and engines: ten to fifteen minutes",
)
REST = (
    [*PYTEST, "-m", "(extended or hypothesis) and not soak"],
    "variants of them, and more generated examples: 25 minutes",
)

Step = tuple[list[str], str]


def main(arguments: list[str]) -> int:
    """Run every step; returns the exit code of the first that fails."""
    given = [argument for argument in arguments if argument != "--all"]
    tree = _digest()
    everything = "--all" in arguments
    known = everything and not given and PASSED.exists() and PASSED.read_text(encoding="ascii") == tree
    if known:
        print("The quick tests have passed on these files; now the rest.", flush=True)
        return _run(_with(REST, given))
    for step in LINT:
        if code := _run(step):
            return code
    types = _started(TYPES)
    code = _run(_with(QUICK, given)) or types.wait()
    types.wait()
    if code == 0 and not given:
        PASSED.parent.mkdir(exist_ok=True)
        PASSED.write_text(tree, encoding="ascii")
    return code or (_run(_with(REST, given)) if everything else 0)


def _with(step: Step, given: list[str]) -> Step:
    command, what = step
    return ([*command, *given], "what you asked for" if given else what)


def _run(step: Step) -> int:
    return _started(step).wait()


def _started(step: Step) -> subprocess.Popen[bytes]:
    command, what = step
    print(f"$ {' '.join(command)}    ({what})", flush=True)
    return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT)


def _digest() -> str:
    """The files that tests read, and what is installed beside them."""
    digest = sha256()
    files = [path for name in WATCHED for path in (ROOT / name).rglob("*") if "__pycache__" not in path.parts]
    for path in sorted([*files, *ROOT.glob("*.*")]):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\n".encode())
            digest.update(sha256(path.read_bytes()).digest())
    digest.update("\n".join(sorted(f"{found.name} {found.version}" for found in distributions())).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
