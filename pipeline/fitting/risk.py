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
from dataclasses import dataclass

import numpy as np

from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.state.customer import DAY_MS
from pipeline.errors import Refused
from pipeline.fitting import logistic
from pipeline.fitting.coefficients import columns, day, estimate, policy_of_values, pull, risk_of
from pipeline.fitting.learned_terms import LearnedTerm, effect_of_acting, learned_terms
from pipeline.fitting.logistic import FREE, Pull
from pipeline.fitting.observations import History, Observations, Per, Silence, observations, typical_gap_days
from pipeline.fitting.scoring import Class, Floats, Lead, Scores, lead, reliability, scores

LEARNED_SHARE = 0.65
"""The share of contacts before the day that splits."""
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0)
"""How strongly the priors may hold, in observations' worth of one squared standard deviation."""
FEWEST = {"to learn from": (300, 30), "to test on": (100, 20)}
"""Contacts, and how many of them at least with either outcome, without which nothing is learned."""


@dataclass(frozen=True, slots=True)
class LearnedRisk:
    """A policy, and everything a reader needs to trust it or not."""

    policy: RiskPolicy
    terms: list[LearnedTerm]
    acting: LearnedTerm | None
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


def learn(
    history: History,
    silence: Silence = Silence(),  # noqa: B008 - a frozen value
    *,
    per: Per = "contact",
    per_day: int = 10,
    base: RiskPolicy = PRIORS,
) -> LearnedRisk:
    """Learn a policy; ``per_day`` is how many contacts the desk can act on in a day.

    Raises
    ------
    Refused
        The history is too small, or has only one outcome; the message says what is missing.
    """
    split_at = _split(history, silence)
    typical = _typical_gap_days(history, split_at)
    all_ = observations(history, silence, typical, per)
    earlier, later = _parts(all_, split_at)
    part = columns(earlier)
    strength = _strength(earlier, base)
    values, free, errors = estimate(part, base, strength)
    policy = policy_of_values(part, values, base, history.ends_at)
    ways = {"learned": risk_of(policy, later), "priors": risk_of(base, later), "recency": _recency(earlier, later)}
    days = (later.at // DAY_MS).astype(np.int64)
    length = float(days.max() - days.min() + 1)
    return LearnedRisk(
        policy=policy,
        terms=learned_terms(part, policy, free, errors, base),
        acting=effect_of_acting(part, free, errors),
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


def _split(history: History, silence: Silence) -> int:
    usable = [seen.at for seen in history.seen if seen.at + silence.shortest_days * DAY_MS <= history.ends_at]
    if not usable:
        raise Refused(
            f"{len(history.seen)} service contacts of customers, none of them {silence.shortest_days:.0f} days before "
            "the end of the history: what came of them is not known yet"
        )
    return int(np.quantile(np.array(usable, dtype=np.float64), LEARNED_SHARE))


def _typical_gap_days(history: History, split_at: int) -> float:
    typical = typical_gap_days(history, split_at)
    if not typical > 0:
        raise Refused(
            "no customer of the history bought on a second day before "
            f"{day(split_at)}: there is no rhythm against which silence could be told"
        )
    return typical


def _parts(all_: Observations, split_at: int) -> tuple[Observations, Observations]:
    """What is learned from, and what is tested on: of the latter nothing that the desk acted on."""
    earlier, later = apart(all_, split_at)
    later = later.where(~later.acted)
    _demand("to learn from", earlier)
    _demand("to test on", later)
    return earlier, later


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


def _strength(earlier: Observations, base: RiskPolicy) -> float:
    """The strength under which what was learned from the first contacts predicts the next ones best."""
    inner = float(np.quantile(earlier.at, LEARNED_SHARE))
    first, next_ = apart(earlier, inner)
    next_ = next_.where(~next_.acted)
    if not (len(first) and len(next_)) or len(np.unique(first.silent)) < 2:
        return STRENGTHS[-1]  # too short to choose: hold on to the priors
    part = columns(first)

    def loss(strength: float) -> float:
        values = logistic.fit(part.columns, part.silent, pull(part, base, strength, signs=True))
        policy = policy_of_values(part, values, base, 0)
        return scores(risk_of(policy, next_), next_.silent, np.zeros(len(next_), dtype=np.int64), 1).log_loss

    return min(STRENGTHS, key=loss)


def _recency(earlier: Observations, later: Observations) -> Floats:
    """The risk by the days since the last purchase alone, learned from the same contacts that nobody acted on."""
    earlier = earlier.where(~earlier.acted)

    def by_days(found: Observations) -> Floats:
        return np.column_stack([np.ones(len(found)), np.log1p(found.recency_days)])

    nowhere, free = np.zeros(2), np.full(2, FREE)
    return logistic.risk(
        by_days(later), logistic.fit(by_days(earlier), earlier.silent, Pull(nowhere, nowhere, -free, free))
    )


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
