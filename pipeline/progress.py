"""How work tells its caller how far it is. Only whoever prints decides what that looks like."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

OnCount = Callable[[int], object]
"""Takes how much is done."""
OnProgress = Callable[[int, int | None], object]
"""Takes how much is done, and of how much; ``None``: nobody knows yet."""
OnStage = Callable[[str, int, int], object]
"""Takes the name of the stage that runs, how much of it is done, and of how much."""
Meter = Callable[[str, str], AbstractContextManager[OnProgress]]
"""Opens a piece of work by its title and its unit, and closes it when it ends."""


@contextmanager
def silent(_title: str, _unit: str) -> Iterator[OnProgress]:
    """A meter that nobody looks at."""
    yield lambda _done, _total: None
