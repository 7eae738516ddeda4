"""The control arm: the worker, but for one thing. It forgets which records a state holds, as a stock table would."""

from copy import copy

from pipeline import folding
from pipeline.config import from_env
from pipeline.core.contract.events import Event
from pipeline.core.fold import Applied, apply
from pipeline.core.state.customer import Customer
from pipeline.core.state.marks import Older
from pipeline.worker.app import run


def forgetful(customer: Customer, event: Event, topic: str, offset: int, older: Older | None = None) -> Applied:
    """Apply an event to a customer whose applied offsets and counted events are not known."""
    del older
    before = copy(customer)
    before.applied, before.recent, before.moved = {}, b"", 0
    return apply(before, event, topic, offset)


if __name__ == "__main__":
    import os

    folding.apply = forgetful  # type: ignore[attr-defined]
    run(from_env(os.environ))
