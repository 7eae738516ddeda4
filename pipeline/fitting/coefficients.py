"""Coefficients from observations: the columns to learn from, the pull of the priors, and the policy that results."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.risk.assessment import RiskPolicy
from pipeline.core.risk.terms import TERMS
from pipeline.fitting import logistic
from pipeline.fitting.logistic import FREE, Pull
from pipeline.fitting.observations import Observations
from pipeline.fitting.scoring import Floats
from pipeline.policy import version_of

FEWEST_ACTED = 30
"""With fewer contacts that the desk acted on there is no estimate of what acting did; they are left out."""
TINY = 1e-6
"""Pull on what has no prior: enough for an end where two outcomes can be told apart without an error."""


class Part(NamedTuple):
    """Columns to learn from: a constant, the terms that vary, and whether the desk acted."""

    columns: Floats
    names: tuple[str, ...]
    silent: Floats
    customers: NDArray[np.int64]
    always: Mapping[str, float]
    """The terms that never vary, and the number they always have."""


def day(at: float) -> str:
    """The day of a moment in milliseconds, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def columns(found: Observations) -> Part:
    """What can be learned from: terms that never vary are left to their priors."""
    acted = found.acted
    if acted.sum() < FEWEST_ACTED:
        found = found.where(~acted)
        acted = found.acted
    varying = [number for number in range(len(TERMS)) if found.terms[:, number].std() > 0]
    parts, names = [np.ones((len(found), 1)), found.terms[:, varying]], ["intercept", *(TERMS[n] for n in varying)]
    if acted.any():
        parts.append(acted[:, None].astype(np.float64))
        names.append("acted")
    _, customers = np.unique(found.customer, return_inverse=True)
    always = {term: float(found.terms[0, n]) for n, term in enumerate(TERMS) if n not in varying}
    return Part(np.hstack(parts), tuple(names), found.silent, customers.astype(np.int64), always)


def constant_part(part: Part, base: RiskPolicy) -> float:
    """What the terms that never vary add to every logit; the constant that is learned holds it too."""
    coefficients = base.named()
    return sum((number * coefficients[term] for term, number in part.always.items()), 0.0)


def pull(part: Part, base: RiskPolicy, strength: float, *, signs: bool) -> Pull:
    centre = np.array([base.named().get(name, 0.0) for name in part.names])
    centre[0] += constant_part(part, base)
    spread = part.columns.var(axis=0)
    is_term = np.array([name in TERMS for name in part.names])
    held = is_term & signs
    return Pull(
        centre=centre,
        weight=np.where(is_term, strength * spread, TINY),
        low=np.where(held & (centre > 0), 0.0, -FREE),
        high=np.where(held & (centre < 0), 0.0, FREE),
    )


def estimate(part: Part, base: RiskPolicy, strength: float) -> tuple[Floats, Floats, Floats]:
    """Coefficients with the signs of the literature, without, and the standard errors of the latter."""
    free = pull(part, base, strength, signs=False)
    unbound = logistic.fit(part.columns, part.silent, free)
    errors = logistic.errors(part.columns, part.silent, unbound, free, part.customers)
    return logistic.fit(part.columns, part.silent, pull(part, base, strength, signs=True)), unbound, errors


def policy_of_values(part: Part, values: Floats, base: RiskPolicy, until: float) -> RiskPolicy:
    learned = {name: float(value) for name, value in zip(part.names, values, strict=True) if name != "acted"}
    numbers = base.named() | learned
    numbers["intercept"] -= constant_part(part, base)
    return replace(base.with_coefficients(**numbers), version=version_of(numbers, day(until)))


def risk_of(policy: RiskPolicy, found: Observations) -> Floats:
    """The risk of each observation when nobody acts."""
    every = np.hstack([np.ones((len(found), 1)), found.terms])
    return logistic.risk(every, np.array([policy.intercept, *policy.coefficients]))
