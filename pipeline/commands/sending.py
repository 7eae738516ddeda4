"""``loyalty replay`` and ``loyalty simulate``: events on their way, with a progress bar."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import chain

from pipeline.commands import output
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.simulate import cdnow
from pipeline.simulate import population as people
from pipeline.simulate.send import send


def with_bar(
    settings: Settings, what: str, total: int | None, events: Iterable[people.Sent], rate: float | None = None
) -> int:
    """Send events and show how it goes; returns how many were sent."""
    with output.bar() as bar:
        task = bar.add_task(what, total=total)
        return send(settings, events, lambda done: bar.update(task, completed=done), rate)


def cdnow_purchases(settings: Settings, *, sample: bool = False, rate: float | None = None) -> int:
    """Send the CDNOW purchases."""
    events = (("purchases", event) for event in cdnow.purchases(sample=sample))
    return with_bar(
        settings, "CDNOW purchases (real)", cdnow.SAMPLE_ROWS if sample else cdnow.MASTER_ROWS, events, rate
    )


def population(settings: Settings, customers: int, days: int, seed: int, first_day: date, rate: float | None) -> int:
    """Make and send a synthetic population.

    Raises
    ------
    Refused
        Its last day lies in the future: the worker would reject those events.
    """
    today = datetime.now(UTC).date()
    if first_day > today or first_day + timedelta(days=days) > today + timedelta(days=1):
        raise Refused(
            f"{days} days from {first_day} reach into the future, where no event can be; begin earlier: "
            f"--start {today - timedelta(days=days)}"
        )
    made: list[people.Sent] = []
    with output.bar("customers") as bar:
        task = bar.add_task("simulating", total=customers)
        for number in range(0, customers, 500):
            block = range(number, min(number + 500, customers))
            made.extend(chain.from_iterable(people.lives(block, days, seed, first_day)))
            bar.update(task, completed=block[-1] + 1)
    return with_bar(settings, "simulated events (synthetic)", len(made), people.in_time_order(made), rate)
