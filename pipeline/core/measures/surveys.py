"""What customers say: recommendation, ease, satisfaction and intention, each with how far it can be trusted.

Rules
-----
- Nothing without n and an interval; of no answers there is no number.
- A customer counts once per question and period, with the newest answer in it.
- CES 1 and CES 2 ask different questions: they are normalised to ease, and never averaged together.
- Answers on different scales are never put together: a scale is part of the question.
- Satisfaction looks back. It stands here beside the others and enters none of them.
- A survey by e-mail is advertising: whether one may be sent is asked of :mod:`pipeline.core.loyalty.consent`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal, NamedTuple

from pipeline.core.definition import Definition
from pipeline.core.measures.intervals import Estimate, Z, mean, reaching, wilson
from pipeline.core.state.customer import Answer, Customer

NpsClass = Literal["detractor", "passive", "promoter"]
Scores = Mapping[int, int]
"""How often each score was given."""

DEFINITIONS = (
    Definition(
        "nps", 1, "Promoters (9, 10) minus detractors (0 to 6) among the newest answers of all who answered.",
        "points, -100 to 100", "Reichheld 2003; interval: Rocks 2016, The American Statistician 70(4)",
    ),
    Definition(
        "ces1_ease", 1, "Mean of (5 - score) / 4 over answers of 1 to 5, 1 being the least effort.", "0 to 1",
        "Dixon, Freeman & Toman 2010, Harvard Business Review",
    ),
    Definition("ces1_easy", 1, "Share of answers 1 or 2 of 5.", "share"),
    Definition(
        "ces2_ease", 1, "Mean of (score - 1) / 6 over answers of 1 to 7, 7 being the easiest.", "0 to 1",
        "Dixon, Toman & DeLisi 2013, The Effortless Experience",
    ),
    Definition("ces2_easy", 1, "Share of answers 5, 6 or 7 of 7: at least somewhat agrees that it was easy.", "share"),
    Definition("csat", 1, "Mean of (score - low) / (high - low) on the stated scale; looks back.", "0 to 1"),
    Definition("top_two_box", 1, "Share of the two best answers of a scale with 5 to 11 points.", "share"),
)  # fmt: skip


# --- recommendation


@dataclass(frozen=True, slots=True)
class Nps:
    """A Net Promoter Score in points, -100 to 100, with the Wald and the adjusted Wald interval (the one to use)."""

    n: int
    detractors: int
    passives: int
    promoters: int
    score: float
    wald: tuple[float, float]
    adjusted: tuple[float, float]

    @property
    def estimate(self) -> Estimate:
        """The score with its adjusted interval."""
        return Estimate(self.score, *self.adjusted, self.n)


def nps_class(score: int) -> NpsClass:
    """Who recommends (9, 10), who does not (0 to 6), and who is in between."""
    if score >= 9:
        return "promoter"
    return "passive" if score >= 7 else "detractor"


FOLLOW_UP: dict[NpsClass, str] = {
    "detractor": "Call back: ask what went wrong, and solve it.",
    "passive": "Ask which improvement is missing.",
    "promoter": "Thank them, and ask whom they would recommend us to.",
}
"""What to do after each kind of answer; the problem comes first, an incentive never does."""


def nps(scores: Scores) -> Nps | None:
    """The score of answers of 0 to 10; ``None`` without any.

    ``100 (p - d)``, variance ``p + d - (p - d)²``; the adjusted interval adds three answers, 3/4 of them promoters and
    3/4 detractors (Rocks 2016, The American Statistician 70(4), 365-372). Where few answers agree, those three would
    leave the score itself outside; the interval then reaches to it.

    Raises
    ------
    ValueError
        An answer is not on the scale.
    """
    if any(not 0 <= score <= 10 for score in scores):
        raise ValueError("a recommendation is an answer of 0 to 10")
    kinds = Counter[NpsClass]()
    for score, count in scores.items():
        kinds[nps_class(score)] += count
    n = kinds.total()
    if not n:
        return None
    detractors, promoters = kinds["detractor"], kinds["promoter"]
    return Nps(
        n,
        detractors,
        kinds["passive"],
        promoters,
        100 * (promoters - detractors) / n,
        _around(promoters, detractors, n),
        reaching(100 * (promoters - detractors) / n, *_around(promoters + 0.75, detractors + 0.75, n + 3)),
    )


def _around(promoters: float, detractors: float, n: float) -> tuple[float, float]:
    p, d = promoters / n, detractors / n
    half = Z * sqrt((p + d - (p - d) ** 2) / n)
    return max(-100.0, 100 * (p - d - half)), min(100.0, 100 * (p - d + half))


# --- ease, satisfaction, intention


@dataclass(frozen=True, slots=True)
class Rating:
    """Answers on one scale: their mean from 0 (worst) to 1 (best), and the share of the good ones."""

    low: int
    high: int
    mean: Estimate
    good: Estimate | None
    """Ease: the easy ones. Others: the two best answers; ``None`` where the scale has too few or too many points."""


class Question(NamedTuple):
    """What was asked, and on which scale."""

    instrument: str
    low: int
    high: int


_EASY = {"ces1": (1, 2), "ces2": (5, 6, 7)}
_TOP_TWO_POINTS = range(5, 12)


def rating(question: Question, scores: Scores) -> Rating | None:
    """The answers to a question on a scale; ``None`` without any.

    Raises
    ------
    ValueError
        Recommendation is no rating, and a scale needs two points.
    """
    instrument, low, high = question
    if instrument == "nps" or low >= high:
        raise ValueError(f"no rating: {instrument} on {low} to {high}")
    n = sum(scores.values())
    if not n:
        return None
    upside_down = instrument == "ces1"
    shares = Counter[float]()
    for score, count in scores.items():
        shares[(high - score if upside_down else score - low) / (high - low)] += count
    good = _good(question)
    hits = sum(scores.get(score, 0) for score in good)
    return Rating(low, high, mean(shares), wilson(hits, n) if good else None)


def _good(question: Question) -> tuple[int, ...]:
    instrument, low, high = question
    if instrument in _EASY:
        return _EASY[instrument]
    return (high - 1, high) if high - low + 1 in _TOP_TWO_POINTS else ()


# --- counting


def newest(customer: Customer, since: int, until: int) -> list[Answer]:
    """The newest answer of a customer to each question from ``since`` on and before ``until`` (milliseconds)."""
    found: dict[str, Answer] = {}
    for answer in (*customer.answers, *customer.latest.values()):
        known = found.get(answer.instrument)
        if since <= answer.at < until and (known is None or (known.at, known.event_id) < (answer.at, answer.event_id)):
            found[answer.instrument] = answer
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Said:
    """What the customers of a period said."""

    nps: Nps | None
    ratings: dict[Question, Rating]


class SurveyTotals:
    """The answers of a period, each customer's newest, counted."""

    def __init__(self) -> None:
        self._scores: dict[Question, Counter[int]] = {}

    def add(self, answers: Iterable[Answer]) -> None:
        """Count the answers of one customer, at most one per instrument."""
        for answer in answers:
            question = Question(answer.instrument, answer.low, answer.high)
            self._scores.setdefault(question, Counter())[answer.score] += 1

    def result(self) -> Said:
        """What they come to."""
        scores = self._scores.get(Question("nps", 0, 10), Counter())
        ratings = {
            question: found
            for question, given in sorted(self._scores.items())
            if question.instrument != "nps" and (found := rating(question, given)) is not None
        }
        return Said(nps(scores), ratings)
