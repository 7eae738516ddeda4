"""Sends the real purchases of CDNOW, and synthetic populations."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from pipeline.config import Settings
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.errors import Refused
from pipeline.policy import policy_of
from pipeline.progress import Meter, silent
from pipeline.simulate import cdnow
from pipeline.simulate import population as people
from pipeline.simulate.send import send
from pipeline.simulate.service import Sent
from pipeline.simulate.truth import HIDDEN, Life, as_line, as_model


def send_events(
    settings: Settings, title: str, total: int | None, events: Iterable[Sent], meter: Meter, rate: float | None = None
) -> int:
    """Send events; returns how many were sent."""
    with meter(title, "events") as progress:
        return send(settings, events, lambda sent: progress(sent, total), rate)


def cdnow_purchases(
    settings: Settings, meter: Meter = silent, *, sample: bool = False, rate: float | None = None
) -> int:
    """Send the CDNOW purchases."""
    events = (("purchases", event) for event in cdnow.purchases(sample=sample))
    rows = cdnow.SAMPLE_ROWS if sample else cdnow.MASTER_ROWS
    return send_events(settings, "CDNOW purchases (real)", rows, events, meter, rate)


def population(
    settings: Settings,
    customers: int,
    days: int,
    seed: int,
    first_day: date,
    rate: float | None,
    truth: Path | None = None,
    meter: Meter = silent,
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
    events = simulated(customers, days, seed, first_day, truth, meter, policy_of(settings))
    return send_events(settings, "simulated events (synthetic)", len(events), events, meter, rate)


def simulated(
    customers: int,
    days: int,
    seed: int,
    first_day: date,
    truth: Path | None = None,
    meter: Meter = silent,
    policy: RiskPolicy = PRIORS,
) -> list[Sent]:
    """The events of a synthetic population, oldest first; its truth goes to a file, if named.

    The desk acts on alerts that are raised, and not held out, by ``policy``.

    Raises
    ------
    Refused
        The file cannot be written.
    """
    generated: list[Sent] = []
    with meter("simulating", "customers") as progress, _truth_file(truth) as write:
        lives = people.lives(range(customers), days, seed, first_day, policy=policy)
        for number, life in enumerate(lives, start=1):
            events, known = people.told(life)
            generated.extend(events)
            write(known)
            if number % 500 == 0 or number == customers:
                progress(number, customers)
    return people.in_time_order(generated)


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
