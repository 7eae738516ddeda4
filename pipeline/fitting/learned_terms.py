"""What is reported about each coefficient: the prior, the estimate with its interval, and what the policy uses."""

from typing import NamedTuple

from pipeline.core.risk.assessment import RiskPolicy
from pipeline.core.risk.terms import TERMS
from pipeline.fitting import logistic
from pipeline.fitting.coefficients import Part, constant_part
from pipeline.fitting.scoring import Floats

Z95 = 1.959963984540054
CONTRADICTS = 3.0
"""Standard errors beyond zero from which data contradict a sign: with seventeen terms two would be chance too often."""


class LearnedTerm(NamedTuple):
    """What was learned about one coefficient; ``low`` and ``high`` are its 95 % interval."""

    term: str
    prior: float
    learned: float
    low: float
    high: float
    used: float
    """What the policy has: the sign of the literature is kept."""
    note: str


def learned_terms(part: Part, policy: RiskPolicy, free: Floats, errors: Floats, base: RiskPolicy) -> list[LearnedTerm]:
    """The intercept and every term, in the order of the table."""
    mixed = dict(zip(part.names, logistic.inseparable(part.columns), strict=True))
    values = free.copy()
    values[0] -= constant_part(part, base)
    priors, used = base.named(), policy.named()
    rows = {
        name: LearnedTerm(name, priors[name], value, value - Z95 * error, value + Z95 * error, used[name], "")
        for name, value, error in zip(part.names, values.tolist(), errors.tolist(), strict=True)
        if name != "acted"
    }
    return [
        rows[name]._replace(note=_note(rows[name], mixed=bool(mixed[name])))
        if name in rows
        else _unlearned(name, priors[name])
        for name in ("intercept", *TERMS)
    ]


def _unlearned(name: str, prior: float) -> LearnedTerm:
    nothing = float("nan")
    return LearnedTerm(name, prior, nothing, nothing, nothing, prior, "never varies here: the prior stays")


def _note(term: LearnedTerm, *, mixed: bool) -> str:
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


def effect_of_acting(part: Part, free: Floats, errors: Floats) -> LearnedTerm | None:
    if "acted" not in part.names:
        return None
    number = part.names.index("acted")
    value, error = float(free[number]), float(errors[number])
    return LearnedTerm("acted", 0.0, value, value - Z95 * error, value + Z95 * error, 0.0, "")
