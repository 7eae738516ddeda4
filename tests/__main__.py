"""``python -m tests``: lint, strict types, then every test; stops at the first that fails."""

import subprocess
import sys

STEPS = (
    ["ruff", "format", "--check", "."],
    ["ruff", "check", "."],
    ["mypy"],
    ["pytest", "-n", "2", "--dist", "loadgroup", *sys.argv[1:]],
)


def main() -> int:
    """Run every step; returns the exit code of the first that fails."""
    for step in STEPS:
        print("$", " ".join(step), flush=True)
        code = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if code:
            return code
    return 0


sys.exit(main())
