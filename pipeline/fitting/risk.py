"""Learning the coefficients of the churn risk from a firm's own history.

1. Every service contact becomes an observation (:mod:`pipeline.fitting.observations`).
2. A day splits them: it is learned from contacts whose outcome was known by that day, and tested on contacts after it.
   What lies across the day belongs to neither. The split is never random: a firm can only learn from its past.
3. How strongly the priors hold is chosen by the same split once more, inside the part that is learned from.
4. The coefficients keep the sign the literature gives them; where the data contradict a sign, the report says so.
5. The result is compared on the later part with the priors and with what a desk without any model would do: look at
   the days since the last purchase.

Contacts that the desk acted on have a term of their own while learning, so that the risk is what it is when nobody
acts; they are left out of the comparison, because what would have happened without the desk is not known of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.risk.assessment import PRIORS, TERMS, RiskPolicy
from pipeline.core.state.customer import DAY_MS
from pipeline.errors import Refused
from pipeline.fitting import logistic
from pipeline.fitting.logistic import Pull
from pipeline.fitting.observations import History, Observations, Per, Silence, observations, typical_gap_days
from pipeline.fitting.scoring import Class, Floats, Lead, Scores, lead, reliability, scores
from pipeline.policy import version_of

LEARNED_SHARE = 0.65
"""The share of contacts before the day that splits."""
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0)
"""How strongly the priors may hold, in observations' worth of one squared standard deviation."""
FEWEST = {"to learn from": (300, 30), "to test on": (100, 20)}
"""Contacts, and how many of them at least with either outcome, without which nothing is learned."""
FEWEST_ACTED = 30
"""With fewer contacts that the desk acted on there is no estimate of what acting did; they are left out."""
Z95 = 1.959963984540054
CONTRADICTS = 3.0
"""Standard errors beyond zero from which data contradict a sign: with seventeen terms two would be chance too often."""
TINY = 1e-6
"""Pull on what has no prior: enough for an end where two outcomes can be told apart without an error."""
_FREE = float("inf")


class Term(NamedTuple):
    """What was learned about one coefficient; ``low`` and ``high`` are its 95 % interval."""

    term: str
    prior: float
    learned: float
    low: float
    high: float
    used: float
    """What the policy has: the sign of the literature is kept."""
    note: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A policy, and everything a reader needs to trust it or not."""

    policy: RiskPolicy
    terms: list[Term]
    acting: Term | None
    """What an action of the desk did; it is no part of the policy."""
    strength: float
    silence: Silence
    per: Per
    typical_gap_days: float
    counts: Mapping[str, int]
    first_at: int
    split_at: int
    ends_at: int
    silent_share: Mapping[str, float]
    per_day: int
    compared: Mapping[str, Scores]
    """``learned``, ``priors`` and ``recency``, on the later part."""
    lead: Lead
    """Of what was learned before the days since the last purchase."""
    classes: Mapping[str, list[Class]]
    alarms: Mapping[str, float]
    """Observations a day of the later part at or above the threshold, ``learned`` and ``priors``."""
    per_day_later: float
    busiest_day: int

    @property
    def beats_recency(self) -> bool:
        """Whether it both ranks and predicts better than the days since the last purchase, beyond chance."""
        return self.lead.is_sure


class Part(NamedTuple):
    """Columns to learn from: a constant, the terms that vary, and whether the desk acted."""

    columns: Floats
    names: tuple[str, ...]
    silent: Floats
    customers: NDArray[np.int64]
    always: Mapping[str, float]
    """The terms that never vary, and the number they always have."""


def learn(
    history: History,
    silence: Silence = Silence(),  # noqa: B008 - a frozen value
    *,
    per: Per = "contact",
    per_day: int = 10,
    base: RiskPolicy = PRIORS,
) -> Learned:
    """Learn a policy; ``per_day`` is how many contacts the desk can act on in a day.

    Raises
    ------
    Refused
        The history is too small, or has only one outcome; the message says what is missing.
    """
    split_at = _split(history, silence)
    typical = typical_gap_days(history, split_at)
    if not typical > 0:
        raise Refused(
            "no customer of the history bought on a second day before "
            f"{day(split_at)}: there is no rhythm against which silence could be told"
        )
    all_ = observations(history, silence, typical, per)
    earlier, later = apart(all_, split_at)
    later = later.where(~later.acted)
    _demand("to learn from", earlier)
    _demand("to test on", later)
    part = columns(earlier)
    strength = _strength(earlier, base)
    values, free, errors = _estimate(part, base, strength)
    policy = _policy(part, values, base, history.ends_at)
    ways = {"learned": _risk(policy, later), "priors": _risk(base, later), "recency": _recency(earlier, later)}
    days = (later.at // DAY_MS).astype(np.int64)
    length = float(days.max() - days.min() + 1)
    return Learned(
        policy=policy,
        terms=_terms(part, policy, free, errors, base),
        acting=_acting(part, free, errors),
        strength=strength,
        silence=silence,
        per=per,
        typical_gap_days=typical,
        counts=_counts(history, all_, earlier, later),
        first_at=int(all_.at.min()),
        split_at=split_at,
        ends_at=history.ends_at,
        silent_share={"earlier": float(earlier.silent.mean()), "later": float(later.silent.mean())},
        per_day=per_day,
        compared={name: scores(risk, later.silent, days, per_day) for name, risk in ways.items()},
        lead=lead(ways["learned"], ways["recency"], later.silent, later.customer),
        classes={name: reliability(risk, later.silent) for name, risk in ways.items()},
        alarms={name: float((ways[name] >= base.raise_at).sum()) / length for name in ("learned", "priors")},
        per_day_later=len(later) / length,
        busiest_day=int(np.unique(days, return_counts=True)[1].max()),
    )


def apart(found: Observations, at: float) -> tuple[Observations, Observations]:
    """Those whose outcome was known by ``at``, and those that happened from then on; what lies across is in neither."""
    return found.where(found.known_at <= at), found.where(found.at >= at)


def day(at: float) -> str:
    """The day of a moment in milliseconds, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _split(history: History, silence: Silence) -> int:
    usable = [seen.at for seen in history.seen if seen.at + silence.shortest_days * DAY_MS <= history.ends_at]
    if not usable:
        raise Refused(
            f"{len(history.seen)} service contacts of customers, none of them {silence.shortest_days:.0f} days before "
            "the end of the history: what came of them is not known yet"
        )
    return int(np.quantile(np.array(usable, dtype=np.float64), LEARNED_SHARE))


def _demand(what: str, found: Observations) -> None:
    contacts, either = FEWEST[what]
    silent = int(found.silent.sum())
    if len(found) and silent in (0, len(found)):
        said = "nobody fell silent" if not silent else "everybody fell silent"
        raise Refused(f"{said} after the {len(found)} contacts {what}: there is nothing to tell apart")
    if len(found) < contacts or min(silent, len(found) - silent) < either:
        raise Refused(
            f"the history is too small {what}: {len(found)} contacts, {silent} of them followed by silence; needed are "
            f"{contacts}, with {either} of either outcome"
        )


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


def _always(part: Part, base: RiskPolicy) -> float:
    """What the terms that never vary add to every logit; the constant that is learned holds it too."""
    return sum((number * float(getattr(base, term)) for term, number in part.always.items()), 0.0)


def _pull(part: Part, base: RiskPolicy, strength: float, *, signs: bool) -> Pull:
    centre = np.array([getattr(base, name, 0.0) for name in part.names])
    centre[0] += _always(part, base)
    spread = part.columns.var(axis=0)
    is_term = np.array([name in TERMS for name in part.names])
    held = is_term & signs
    return Pull(
        centre=centre,
        weight=np.where(is_term, strength * spread, TINY),
        low=np.where(held & (centre > 0), 0.0, -_FREE),
        high=np.where(held & (centre < 0), 0.0, _FREE),
    )


def _estimate(part: Part, base: RiskPolicy, strength: float) -> tuple[Floats, Floats, Floats]:
    """Coefficients with the signs of the literature, without, and the standard errors of the latter."""
    free = _pull(part, base, strength, signs=False)
    unbound = logistic.fit(part.columns, part.silent, free)
    errors = logistic.errors(part.columns, part.silent, unbound, free, part.customers)
    return logistic.fit(part.columns, part.silent, _pull(part, base, strength, signs=True)), unbound, errors


def _strength(earlier: Observations, base: RiskPolicy) -> float:
    """The strength under which what was learned from the first contacts predicts the next ones best."""
    inner = float(np.quantile(earlier.at, LEARNED_SHARE))
    first, next_ = apart(earlier, inner)
    next_ = next_.where(~next_.acted)
    if not (len(first) and len(next_)) or len(np.unique(first.silent)) < 2:
        return STRENGTHS[-1]  # too short to choose: hold on to the priors
    part = columns(first)

    def loss(strength: float) -> float:
        values = logistic.fit(part.columns, part.silent, _pull(part, base, strength, signs=True))
        policy = _policy(part, values, base, 0)
        return scores(_risk(policy, next_), next_.silent, np.zeros(len(next_), dtype=np.int64), 1).log_loss

    return min(STRENGTHS, key=loss)


def _policy(part: Part, values: Floats, base: RiskPolicy, until: float) -> RiskPolicy:
    known = {name: float(value) for name, value in zip(part.names, values, strict=True) if name != "acted"}
    numbers: Any = {name: known.get(name, getattr(base, name)) for name in ("intercept", *TERMS)}
    numbers["intercept"] -= _always(part, base)
    return replace(base, version=version_of(numbers, day(until)), **numbers)


def _risk(policy: RiskPolicy, found: Observations) -> Floats:
    """The risk of each observation when nobody acts."""
    every = np.hstack([np.ones((len(found), 1)), found.terms])
    return logistic.risk(every, np.array([policy.intercept, *policy.coefficients]))


def _recency(earlier: Observations, later: Observations) -> Floats:
    """The risk by the days since the last purchase alone, learned from the same contacts that nobody acted on."""
    earlier = earlier.where(~earlier.acted)

    def by_days(found: Observations) -> Floats:
        return np.column_stack([np.ones(len(found)), np.log1p(found.recency_days)])

    nowhere, free = np.zeros(2), np.full(2, _FREE)
    return logistic.risk(
        by_days(later), logistic.fit(by_days(earlier), earlier.silent, Pull(nowhere, nowhere, -free, free))
    )


def _terms(part: Part, policy: RiskPolicy, free: Floats, errors: Floats, base: RiskPolicy) -> list[Term]:
    mixed = dict(zip(part.names, logistic.inseparable(part.columns), strict=True))
    values = free.copy()
    values[0] -= _always(part, base)
    found = {
        name: Term(
            name, getattr(base, name), value, value - Z95 * error, value + Z95 * error, getattr(policy, name), ""
        )
        for name, value, error in zip(part.names, values.tolist(), errors.tolist(), strict=True)
        if name != "acted"
    }
    return [
        found[name]._replace(note=_note(found[name], mixed=bool(mixed[name])))
        if name in found
        else _unlearned(name, getattr(base, name))
        for name in ("intercept", *TERMS)
    ]


def _unlearned(name: str, prior: float) -> Term:
    nothing = float("nan")
    return Term(name, prior, nothing, nothing, nothing, prior, "never varies here: the prior stays")


def _note(term: Term, *, mixed: bool) -> str:
    if term.term == "intercept":
        return "all contacts; who never contacts service is not in it"
    wrong = term.learned * term.prior < 0
    if wrong and abs(term.learned) > CONTRADICTS * (term.high - term.low) / (2 * Z95):
        return "the data contradict the sign of the literature; held at 0"
    if term.used == 0 and wrong:
        return "held at 0; the other sign can be chance"
    if term.used == 0:
        return "held at 0 beside the terms it occurs with"
    return "known only together with others; the prior divides it" if mixed else ""


def _acting(part: Part, free: Floats, errors: Floats) -> Term | None:
    if "acted" not in part.names:
        return None
    number = part.names.index("acted")
    value, error = float(free[number]), float(errors[number])
    return Term("acted", 0.0, value, value - Z95 * error, value + Z95 * error, 0.0, "")


def _counts(history: History, all_: Observations, earlier: Observations, later: Observations) -> dict[str, int]:
    return {
        "contacts": len(history.seen),
        "customers": len({seen.customer for seen in history.seen}),
        "synthetic": sum(seen.synthetic for seen in history.seen),
        "known": len(all_),
        "earlier": len(earlier),
        "later": len(later),
        "acted_earlier": int(earlier.acted.sum()),
    }
