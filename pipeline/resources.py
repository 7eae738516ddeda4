"""Files that travel with the package: schemas, migrations, sample data, the jar lock.

In a wheel the top-level ``schemas`` folder lies inside the package; in a checkout it lies next to it.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def schemas() -> Traversable:
    """The folder of event schemas, examples and ClickHouse migrations."""
    packaged = files("pipeline") / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "schemas"


def data(*parts: str) -> Traversable:
    """A file of sample data or a lock, by its path below ``pipeline/data``."""
    return files("pipeline").joinpath("data", *parts)
