"""The environment Quix Streams runs in: its own, for it refuses the confluent-kafka and pydantic of our lock.

Made once in the cache from the lock in ``quix.txt``. The core needs nothing but msgspec there, in our version.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

import platformdirs

LOCK = Path(__file__).parent / "quix.txt"


def python_with_quix() -> Path:
    """An interpreter that has Quix Streams; the first call installs it."""
    content = LOCK.read_bytes() + sys.version.encode()
    folder = Path(platformdirs.user_cache_dir("loyalty")) / f"quix-{hashlib.sha256(content).hexdigest()[:12]}"
    python, done = folder / "bin/python", folder / "complete"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(LOCK)]
        subprocess.run(install, check=True, timeout=600)
        done.touch()
    return python


def locked(package: str) -> str:
    """The version of a package in that environment."""
    lines = [line.split("==") for line in LOCK.read_text().splitlines() if "==" in line]
    return next(version for name, version in lines if name == package)
