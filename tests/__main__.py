"""``python -m tests``: lint, strict types, then every test; stops at the first that fails.

Says at once what runs and how long each step takes on two ordinary cores. What follows is handed to pytest.
"""

import subprocess
import sys

STEPS = (
    (["ruff", "format", "--check", "."], "layout, a second"),
    (["ruff", "check", "."], "lint, a second"),
    (["mypy"], "strict types, a minute"),
    (
        ["pytest", "-n", "2", "--dist", "loadgroup", *sys.argv[1:]],
        "the tests, on real brokers and engines: half an hour",
    ),
)


def main() -> int:
    """Run every step; returns the exit code of the first that fails."""
    for step, what in STEPS:
        print(f"$ {' '.join(step)}    ({what})", flush=True)
        code = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if code:
            return code
    return 0


sys.exit(main())
