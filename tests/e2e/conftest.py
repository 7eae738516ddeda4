"""A stack that has run the demo from the installed wheel."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import Stack


class Demo(Stack):
    """A stack on which the demo has run; its report, and everything else a stack can be asked."""

    started_seconds = 0.0
    """How long it took until the demo had run."""

    @property
    def report(self) -> dict[str, Any]:
        """The demo's report."""
        line = next(line for line in self.lines if line.startswith('{"exact"'))
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(scope="package")
def demo(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo from the installed wheel, still running."""
    stack = Demo(installed, tmp_path_factory.mktemp("demo"), ("demo", "--json"))
    try:
        began = time.monotonic()
        stack.start(150)
        stack.started_seconds = time.monotonic() - began
        yield stack
    finally:
        stack.end()
