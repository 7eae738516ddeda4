"""Learns the coefficients of the churn risk from history."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.analysis.stored_events import stored
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.fitting.coefficients import day
from pipeline.fitting.learned_terms import LearnedTerm
from pipeline.fitting.observations import Per, Silence, gather
from pipeline.fitting.reliability import draw
from pipeline.fitting.risk import LearnedRisk, learn
from pipeline.fitting.scoring import BINS
from pipeline.policy import write_policy
from pipeline.progress import Meter, silent
from pipeline.simulate import population
from pipeline.simulate.send import encode
from pipeline.topics import INPUTS
from pipeline.warehouse.client import connect

SIMULATED_FROM = date(2022, 1, 1)
SIMULATED_DAYS = 1_096
SIMULATED_SEED = 1


def learn_risk(
    source: Settings | int, silence: tuple[float, float, float], per: Per, per_day: int, meter: Meter = silent
) -> LearnedRisk:
    """Learn from the warehouse, or from so many simulated customers.

    ``silence`` holds the fields of :class:`~pipeline.fitting.observations.Silence` in their order, ``per_day`` how many
    contacts the desk can act on in a day.

    Raises
    ------
    Refused
        The history is too small.
    """
    gaps, shortest, longest = silence
    long = Silence(gaps=gaps, shortest_days=shortest, longest_days=longest)
    return learn(gather(_customers(source, meter)), long, per=per, per_day=per_day)


def write(learned: LearnedRisk, policy_file: Path, picture: Path, *, force: bool) -> bool:
    """Write the picture, and the policy when it deserves it or by force; returns whether there is a policy."""
    draw(learned, picture)
    ships = learned.beats_recency or force
    if ships:
        write_policy(policy_file, learned.policy, summary(learned))
    return ships


def _customers(source: Settings | int, meter: Meter) -> Iterator[Sequence[Event]]:
    if isinstance(source, int):
        return _simulated(source, meter)
    return stored(connect(source), meter)


def _simulated(customers: int, meter: Meter) -> Iterator[list[Event]]:
    decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
    now = datetime(SIMULATED_FROM.year, SIMULATED_FROM.month, SIMULATED_FROM.day, tzinfo=UTC)
    now += timedelta(days=SIMULATED_DAYS)
    with meter("simulating", "customers") as progress:
        lives = population.lives(range(customers), SIMULATED_DAYS, SIMULATED_SEED, SIMULATED_FROM)
        for number, life in enumerate(lives, start=1):
            yield [decoders[topic](encode(event), now).event for topic, event in life]
            if number % 500 == 0 or number == customers:
                progress(number, customers)


def summary(learned: LearnedRisk) -> dict[str, Any]:
    """What the policy file says about its origin."""
    return {
        "contacts": learned.counts["contacts"],
        "synthetic_contacts": learned.counts["synthetic"],
        "learned_from": learned.counts["earlier"],
        "tested_on": learned.counts["later"],
        "first": day(learned.first_at),
        "split": day(learned.split_at),
        "last": day(learned.ends_at),
        "per": learned.per,
        "silence": {
            "gaps": learned.silence.gaps,
            "shortest_days": learned.silence.shortest_days,
            "longest_days": learned.silence.longest_days,
            "typical_gap_days": learned.typical_gap_days,
        },
        "strength": learned.strength,
        "beats_recency": learned.beats_recency,
        "lead_95": learned.lead._asdict(),
        "compared": {name: quality._asdict() for name, quality in learned.compared.items()},
    }


def as_data(learned: LearnedRisk) -> dict[str, Any]:
    """Everything, for a program; what does not exist is null."""
    return summary(learned) | {
        "version": learned.policy.version,
        "terms": [_term(term) for term in learned.terms],
        "acting": _term(learned.acting) if learned.acting else None,
        "classes": {name: [one._asdict() for one in classes] for name, classes in learned.classes.items()},
        "bins": BINS,
        "per_day": learned.per_day,
        "alarms_a_day": dict(learned.alarms),
    }


def _term(term: LearnedTerm) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in term._asdict().items()
    }
