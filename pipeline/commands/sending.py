"""``loyalty replay`` and ``loyalty simulate``: events on their way, with a progress bar."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from pipeline.commands import output
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.simulate import cdnow
from pipeline.simulate import population as people
from pipeline.simulate.send import send
from pipeline.simulate.service import Sent
from pipeline.simulate.truth import HIDDEN, Life, as_line, as_model


def with_bar(
    settings: Settings, what: str, total: int | None, events: Iterable[Sent], rate: float | None = None
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


def population(
    settings: Settings,
    customers: int,
    days: int,
    seed: int,
    first_day: date,
    rate: float | None,
    truth: Path | None = None,
) -> int:
    """Make and send a synthetic population; what really happened to it goes to the file ``truth``, if one is named.

    Raises
    ------
    Refused
        Its last day lies in the future: the worker would reject those events; or the file cannot be written.
    """
    today = datetime.now(UTC).date()
    if first_day > today or first_day + timedelta(days=days) > today + timedelta(days=1):
        raise Refused(
            f"{days} days from {first_day} reach into the future, where no event can be; begin earlier: "
            f"--start {today - timedelta(days=days)}"
        )
    made = simulated(customers, days, seed, first_day, truth)
    return with_bar(settings, "simulated events (synthetic)", len(made), made, rate)


def simulated(customers: int, days: int, seed: int, first_day: date, truth: Path | None = None) -> list[Sent]:
    """The events of a synthetic population, oldest first, with a progress bar; its truth goes to a file, if named.

    Raises
    ------
    Refused
        The file cannot be written.
    """
    made: list[Sent] = []
    with output.bar("customers") as bar, _truth_file(truth) as write:
        task = bar.add_task("simulating", total=customers)
        for number, life in enumerate(people.lives(range(customers), days, seed, first_day), start=1):
            events, known = people.told(life)
            made.extend(events)
            write(known)
            if number % 500 == 0 or number == customers:
                bar.update(task, completed=number)
    return people.in_time_order(made)


@contextmanager
def _truth_file(path: Path | None) -> Iterator[Callable[[Life], object]]:
    """Where lives are written: a file of JSON lines that begins with the hidden model, or nowhere."""
    if path is None:
        yield lambda _life: None
        return
    try:
        with path.open("wb") as file:
            file.write(orjson.dumps(as_model(HIDDEN)) + b"\n")
            yield lambda life: file.write(orjson.dumps(as_line(life)) + b"\n")
    except OSError as failed:
        raise Refused(f"cannot write the truth to {path}: {failed.strerror}") from None
