"""Optional libraries, and the command that installs them, for a checkout and for a wheel."""

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires


def remedy(extra: str) -> str:
    """What a person types to get an extra's libraries: they are named one by one, since no index knows this package."""
    try:
        lines = requires("loyalty-pipeline") or []
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return f"install the checkout with it: pip install -e '.[{extra}]'"
    found = [line.partition(";") for line in lines]
    wanted = [name.strip() for name, _, when in found if re.search(rf"""extra\s*==\s*['"]{extra}['"]""", when)]
    return f"install what it needs: {shlex.join([sys.executable, '-m', 'pip', 'install', *wanted])}"
