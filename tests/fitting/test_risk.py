"""What is learned from history: the planted truth, nothing from the future, and a refusal where there is nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.terms import TERMS
from pipeline.errors import Refused
from pipeline.fitting import logistic
from pipeline.fitting.coefficients import Part, columns
from pipeline.fitting.logistic import Pull
from pipeline.fitting.observations import History, Observations, Seen, Silence, gather, observations, typical_gap_days
from pipeline.fitting.risk import STRENGTHS, LearnedRisk, apart, learn
from pipeline.simulate import population
from pipeline.simulate.truth import HIDDEN
from tests.fitting.histories import FIRST_DAY, bought, contacted, other, simulated

CUSTOMERS, DAYS, SEED = 14_000, 1_460, 31
WIDE = Silence(gaps=8, shortest_days=120, longest_days=730)
"""Long enough that hardly anybody who has not left is silent."""
PLANTED = ("repeat_contact", "transfer", "channel_switch", "information_repeated", "cancellation", "earlier_complaint")
NOTHING_PLANTED = ("silence", "waiting", "self_service_failed", "detractor", "effort")


@pytest.fixture(scope="module")
def history() -> History:
    return gather(simulated(CUSTOMERS, DAYS, SEED))


@pytest.fixture(scope="module")
def learned(history: History) -> LearnedRisk:
    return learn(history, WIDE, per="issue")


def intervals(found: LearnedRisk) -> dict[str, tuple[float, float]]:
    return {term.term: (term.low, term.high) for term in found.terms}


# --- the truth


def known_truth(history: History) -> tuple[Observations, np.ndarray[Any, np.dtype[np.float64]]]:
    """Issues with who really left, in place of who was silent; and their true hazards when nobody calls."""
    found = observations(history, WIDE, typical_gap_days(history, np.inf), "issue")
    lives = list(population.truth(CUSTOMERS, DAYS, SEED, FIRST_DAY))
    day = 86_400_000
    truth = {
        (number, round(issue.decided_at.timestamp()) // 100): issue
        for number, life in enumerate(lives)
        for issue in life.issues
    }
    issues = [
        truth.get((customer, round(at + day) // 100_000)) for customer, at in zip(found.customer, found.at, strict=True)
    ]
    kept = np.array([issue is not None for issue in issues])
    assert kept.mean() > 0.95
    left = np.array([issue.left if issue else 0.0 for issue in issues], dtype=np.float64)
    hazard = np.array([issue.unaided if issue else 0.0 for issue in issues])
    called = np.array([issue is not None and issue.arm == "called" for issue in issues])
    return replace(found, silent=left, acted=called).where(kept), hazard[kept]


def without(part: Part, name: str) -> Part:
    """Solved is not unsolved: one of the two says it all, and the constant is that of the other."""
    place = part.names.index(name)
    names = (*part.names[:place], *part.names[place + 1 :])
    return part._replace(names=names, columns=np.delete(part.columns, place, axis=1))


def estimated(part: Part) -> dict[str, tuple[float, float]]:
    """Estimate and standard error of each column, with no prior to speak of."""
    wide = len(part.names)
    none = Pull(np.zeros(wide), np.full(wide, 1e-6), np.full(wide, -np.inf), np.full(wide, np.inf))
    values = logistic.fit(part.columns, part.silent, none)
    errors = logistic.errors(part.columns, part.silent, values, none, part.customers)
    return dict(zip(part.names, zip(values.tolist(), errors.tolist(), strict=True), strict=True))


@pytest.mark.extended
def test_with_who_really_left_every_planted_coefficient_is_recovered(history: History) -> None:
    found, _ = known_truth(history)
    both = estimated(without(columns(found), "recovered"))
    planted = {term: getattr(HIDDEN, term) for term in (*PLANTED, "intercept", "prior_purchases", "unresolved")}
    planted |= {"acted": HIDDEN.call} | dict.fromkeys(NOTHING_PLANTED, 0.0)
    assert set(both) == set(planted)
    for term, (value, error) in both.items():
        assert error < 0.4, term
        assert abs(value - planted[term]) < 2.8 * error, term  # 14 at once: 93 % of the time all are so near
    tight = [term for term, (value, error) in both.items() if abs(value - planted[term]) < 1.96 * error]
    assert len(tight) >= len(planted) - 2


@pytest.mark.extended
def test_with_who_really_left_the_estimated_risk_is_the_true_hazard(history: History) -> None:
    found, hazard = known_truth(history)
    both = estimated(without(columns(found), "recovered"))
    alone = replace(found, acted=np.zeros(len(found), dtype=np.bool_))
    part = without(columns(alone), "recovered")
    risk = logistic.risk(part.columns, np.array([both[name][0] for name in part.names]))
    assert abs(risk - hazard).mean() < 0.03
    assert np.corrcoef(risk, hazard)[0, 1] > 0.99


def test_from_purchases_alone_the_planted_coefficients_lie_in_their_intervals(learned: LearnedRisk) -> None:
    found = intervals(learned)
    within = [term for term in PLANTED if found[term][0] <= getattr(HIDDEN, term) <= found[term][1]]
    assert len(within) >= len(PLANTED) - 1, found
    assert all(low > 0 for low, _ in (found[term] for term in ("transfer", "information_repeated", "cancellation")))


def test_from_purchases_alone_the_effect_of_the_call_lies_in_its_interval(learned: LearnedRisk) -> None:
    assert learned.acting is not None
    assert learned.acting.low <= HIDDEN.call <= learned.acting.high < 0


@pytest.mark.extended
def test_a_call_without_an_effect_shows_none() -> None:
    found = learn(gather(simulated(5_000, DAYS, SEED, replace(HIDDEN, call=0.0))), WIDE, per="issue")
    assert found.acting is not None
    assert found.acting.low <= 0 <= found.acting.high


def test_what_is_learned_beats_the_priors_and_the_days_since_the_last_purchase(learned: LearnedRisk) -> None:
    assert learned.beats_recency
    one, priors, recency = (learned.compared[way] for way in ("learned", "priors", "recency"))
    assert one.auc > priors.auc > recency.auc
    assert one.log_loss < min(priors.log_loss, recency.log_loss)
    assert one.ece < min(0.05, priors.ece)


def test_what_no_contact_varies_in_keeps_its_prior(learned: LearnedRisk) -> None:
    contact = next(term for term in learned.terms if term.term == "contact")
    assert contact.used == learned.policy.named()["contact"] == PRIORS.named()["contact"]
    assert "never varies" in contact.note


# --- the split


def with_feature(history: History, name: str, values: Iterator[float]) -> History:
    place = TERMS.index(name)
    return replace(
        history, seen=[s._replace(terms=(*s.terms[:place], next(values), *s.terms[place + 1 :])) for s in history.seen]
    )


@pytest.fixture(scope="module")
def small() -> History:
    return gather(simulated(4_000, 1_096, seed=4))


LEAKED = 0.7
"""Logits that a random split learns of an outcome it should not know; a split by time learns less than half."""


def test_a_feature_that_is_true_only_in_the_future_is_not_learned(small: History) -> None:
    """Noise before the split, the outcome itself after it. A random split learns it; the split by time must not."""
    split = learn(small).split_at
    random = np.random.default_rng(6)
    later = (
        float(s.next_purchase_at > s.at + 100 * 86_400_000) if s.at >= split else float(random.integers(2))
        for s in small.seen
    )
    leaking = with_feature(small, "reopened", later)
    found, plain = learn(leaking), learn(small)
    reopened = next(term for term in found.terms if term.term == "reopened")
    assert abs(reopened.learned) < LEAKED / 2
    assert found.compared["learned"].auc == pytest.approx(plain.compared["learned"].auc, abs=0.05)
    everything = columns(observations(leaking, Silence(), typical_gap_days(leaking, np.inf)))
    half = random.uniform(size=len(everything.silent)) < 0.5
    part = everything._replace(
        columns=everything.columns[half], silent=everything.silent[half], customers=everything.customers[half]
    )
    assert estimated(part)["reopened"][0] > LEAKED


def test_no_purchase_after_the_split_changes_what_is_learned(small: History) -> None:
    plain = learn(small)
    changed = replace(
        small,
        seen=[
            s._replace(next_purchase_at=np.inf) if s.next_purchase_at > plain.split_at and s.customer % 2 else s
            for s in small.seen
        ],
        gaps=[gap for gap in small.gaps if gap[0] < plain.split_at],
    )
    other_future = learn(changed)
    assert other_future.policy == plain.policy
    assert other_future.silent_share["later"] > plain.silent_share["later"]


def test_what_lies_across_the_split_is_on_neither_side(small: History) -> None:
    found = observations(small, Silence(), 20.0)
    at = float(np.median(found.at))
    earlier, later = apart(found, at)
    assert (earlier.known_at <= at).all()
    assert (later.at >= at).all()
    assert 0 < len(earlier) + len(later) < len(found)


# --- what data cannot be trusted with


def test_a_sign_that_the_data_contradict_is_held_at_zero_and_said(small: History) -> None:
    random = np.random.default_rng(7)
    against = (
        float(random.uniform() < (0.2 if s.next_purchase_at > s.at + 100 * 86_400_000 else 0.8)) for s in small.seen
    )
    found = learn(with_feature(small, "reopened", against))
    reopened = next(term for term in found.terms if term.term == "reopened")
    assert reopened.high < 0
    assert reopened.used == found.policy.named()["reopened"] == 0
    assert "contradict the sign" in reopened.note


def test_every_coefficient_that_is_used_has_the_sign_of_the_literature(learned: LearnedRisk) -> None:
    for term in learned.terms[1:]:
        assert term.used * term.prior >= 0


def test_with_little_history_the_priors_hold(small: History) -> None:
    few = learn(replace(small, seen=small.seen[::4]))
    moved = [abs(term.used - term.prior) for term in few.terms[1:]]
    more = [abs(term.used - term.prior) for term in learn(small).terms[1:]]
    assert few.strength in STRENGTHS
    assert sum(moved) != sum(more)


def test_a_history_where_only_time_tells_does_not_beat_the_baseline(small: History) -> None:
    assert not only_time_tells(small).beats_recency


def only_time_tells(history: History) -> LearnedRisk:
    """Who falls silent depends on the days since the last purchase alone, and the terms are those of somebody else."""
    random = np.random.default_rng(8)
    places = random.permutation(len(history.seen))
    silent = random.uniform(size=len(places))
    seen = [
        s._replace(
            terms=history.seen[place].terms,
            recency_days=40 * luck,
            next_purchase_at=np.inf if random.uniform() < luck else s.at + 1.0,
        )
        for s, place, luck in zip(history.seen, places, silent, strict=True)
    ]
    return learn(replace(history, seen=seen))


# --- refusals


def test_one_time_buyers_alone_have_no_rhythm() -> None:
    lives = [[replace_customer(n, bought(0)), replace_customer(n, contacted(2))] for n in range(500)]
    with pytest.raises(Refused, match="no customer of the history bought on a second day"):
        learn(gather([*lives, other(900)]))


def replace_customer(number: int, event: Any) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(event, customer_id=f"c{number}", event_id=f"{event.event_id}-{number}")


@pytest.mark.parametrize("events", [[], [[bought(0)]], [[bought(0), bought(5), contacted(6)]]])
def test_a_history_without_contacts_that_are_long_over_is_refused(events: list[Any]) -> None:
    with pytest.raises(Refused, match="service contacts of customers"):
        learn(gather(events))


def test_too_small_a_history_is_refused_with_what_is_needed(small: History) -> None:
    with pytest.raises(Refused, match=r"too small to learn from: .* needed are 300, with 30 of either outcome"):
        learn(replace(small, seen=small.seen[::25]))


@pytest.mark.parametrize(("next_", "said"), [(np.inf, "everybody fell silent"), (0.0, "nobody fell silent")])
def test_one_outcome_alone_is_refused(small: History, next_: float, said: str) -> None:
    def same(s: Seen) -> Seen:
        return s._replace(next_purchase_at=s.at + next_)

    with pytest.raises(Refused, match=said):
        learn(replace(small, seen=[same(s) for s in small.seen]))
