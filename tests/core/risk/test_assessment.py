"""What the literature says about churn after a service contact, as properties of the score.

Knox & van Oest 2014 (prior purchases buffer, for long; the effect of a complaint is brief), Maxham & Netemeyer 2002
(recovery seldom fully offsets, two failures close together exceed two far apart), de Matos et al. 2007 (recovery).
"""

from dataclasses import replace
from math import isclose, log, log1p, nan
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.risk.assessment import PRIORS, RiskPolicy, assess, contributions
from pipeline.core.risk.inputs import RiskAssessment
from pipeline.core.risk.issue_facts import risk_inputs
from pipeline.core.risk.terms import BASELINE_TERMS, TERMS
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, with_occasion
from pipeline.core.state.profile import BindingState, Stated

NOW = 20_000 * DAY_MS
HOUR = 3_600_000


def contact(number: int = 1, opened_at: int = NOW - HOUR, last_at: int = NOW, **more: Any) -> Contact:
    """A phone complaint that is not solved."""
    made = Contact(
        opened_at=opened_at, contact_id=f"k-{number}", issue_id="i", last_at=last_at, last_event=f"e-{number}",
        channel="phone", kind="complaint", origin="product", resolved=False, waiting_seconds=0.0, transfers=0,
        information_repeated=False, self_service_first=False, events=2, synthetic=False,
    )  # fmt: skip
    for name, value in more.items():
        setattr(made, name, value)
    return made


def customer(purchases: int = 1, gap_days: int = 30, ended_days_ago: int = 10) -> Customer:
    """Someone who bought at a steady pace."""
    made = Customer(customer_id="c")
    for n in range(purchases):
        with_occasion(made, NOW // DAY_MS - ended_days_ago - n * gap_days)
    made.first_purchase_at = NOW - (ended_days_ago + (purchases - 1) * gap_days) * DAY_MS
    return made


def at(who: Customer, issue: list[Contact], moment: int = NOW, policy: RiskPolicy = PRIORS) -> RiskAssessment:
    who.contacts = sorted([*who.contacts, *issue], key=lambda c: c.opened_at)
    return assess(risk_inputs(who, issue), moment, policy)


WORSE = {
    "transfers": st.integers(1, 4),
    "waiting_seconds": st.floats(60, 3600),
    "information_repeated": st.just(True),
    "self_service_first": st.just(True),
    "kind": st.just("cancellation"),
}


@pytest.mark.parametrize("name", WORSE)
@given(st.data(), st.integers(1, 50), st.integers(0, 200))
def test_more_effort_never_lowers_the_risk(name: str, data: st.DataObject, purchases: int, days: int) -> None:
    worse = data.draw(WORSE[name])
    later = NOW + days * DAY_MS
    easy, hard = (at(customer(purchases), [contact(**more)], later) for more in (dict[str, Any](), {name: worse}))
    assert hard.after > easy.after


@given(st.integers(1, 4), st.integers(1, 50))
def test_each_further_contact_on_the_issue_raises_the_risk(contacts: int, purchases: int) -> None:
    def risk(count: int) -> float:
        issue = [contact(n, NOW - (count - n) * DAY_MS, NOW - (count - n) * DAY_MS + HOUR) for n in range(1, count + 1)]
        return at(customer(purchases), issue, NOW + HOUR).after

    assert risk(contacts + 1) > risk(contacts)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 4), st.booleans())
def test_the_more_purchases_before_the_smaller_the_jump(few: int, more: int, transfers: int, solved: bool) -> None:
    """As long as the risks before and after add up to at most 1: beyond, nobody has further to fall."""
    assume(few < more)
    low, high = (
        at(customer(n, gap_days=30, ended_days_ago=0), [contact(transfers=transfers, resolved=solved)])
        for n in (few, more)
    )
    assume(low.after + low.before <= 1)
    assert high.after - high.before < low.after - low.before


def logit(p: float) -> float:
    return log(p / (1 - p))


@given(st.integers(1, 30), st.integers(0, 4), st.integers(0, 300), st.integers(1, 300))
def test_what_a_contact_did_fades_to_what_would_be_without_it(
    purchases: int, transfers: int, days: int, longer: int
) -> None:
    def rise(after_days: int) -> float:
        now = at(customer(purchases), [contact(transfers=transfers)], NOW + after_days * DAY_MS)
        return logit(now.after) - logit(now.before)

    assert rise(days) > rise(days + longer)
    assert rise(5_000) < 1e-9


@given(st.integers(1, 50), st.integers(0, 4), st.floats(0, 3600), st.integers(0, 400))
def test_unresolved_is_worse_than_recovered_is_worse_than_no_contact(
    purchases: int, transfers: int, waiting: float, days: int
) -> None:
    later = NOW + days * DAY_MS
    effort: dict[str, Any] = {"transfers": transfers, "waiting_seconds": waiting}
    unresolved = at(customer(purchases), [contact(**effort)], later)
    recovered = at(customer(purchases), [contact(**effort, resolved=True)], later)
    assert unresolved.after >= recovered.after >= recovered.before
    assert unresolved.before == recovered.before


@given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 20))
def test_two_failures_close_together_exceed_two_far_apart(days: int, further: int, purchases: int) -> None:
    def risk(apart: int) -> float:
        who = customer(purchases)
        who.contacts = [contact(9, NOW - HOUR - apart * DAY_MS, NOW - apart * DAY_MS, issue_id="other")]
        return at(who, [contact()]).after

    assert risk(days) > risk(days + further)


@given(st.integers(2, 40), st.integers(1, 90), st.integers(0, 500), st.integers(1, 500))
def test_silence_raises_the_risk_by_the_customers_own_rhythm(purchases: int, gap: int, quiet: int, longer: int) -> None:
    def now(days: int, own_gap: int) -> RiskAssessment:
        return at(customer(purchases, own_gap, ended_days_ago=days), [contact()])

    assert now(quiet + longer, gap).before >= now(quiet, gap).before
    assert now(quiet, gap).values[1] >= now(quiet, gap * 2).values[1]


def test_silence_begins_where_the_own_mean_gap_ends() -> None:
    """One gap of 60 days and the assumed one of 60: a mean gap of 60 days."""

    def silence(days: int) -> float:
        return at(customer(2, 60, ended_days_ago=days), [contact()]).values[1]

    assert silence(60) == 0
    assert silence(61) == pytest.approx(log(61 / 60))
    assert silence(60 * 21) == 3.0


@given(st.integers(0, 30), st.integers(0, 4), st.booleans(), st.integers(0, 100), st.integers(0, 10))
def test_the_contributions_add_up(purchases: int, transfers: int, solved: bool, days: int, score: int) -> None:
    who = customer(max(1, purchases))
    who.answers = [Answer(NOW, "a", "nps", score, 0, 10)]
    now = at(who, [contact(transfers=transfers, resolved=solved)], NOW + days * DAY_MS)
    terms = contributions(now)
    assert isclose(sum(term.logit for term in terms), logit(now.after), abs_tol=1e-9)
    standing = [term.logit for term in terms if term.term in (*BASELINE_TERMS, "intercept")]
    assert isclose(sum(standing), logit(now.before), abs_tol=1e-9)


def test_a_contract_hides_the_risk_until_its_notice_date() -> None:
    who = customer()
    who.stated = Stated(bindings={"contractual": BindingState(NOW - DAY_MS, "e", NOW + 90 * DAY_MS, NOW + 10 * DAY_MS)})
    case = risk_inputs(who, [contact()])
    before, on = assess(case, NOW + 10 * DAY_MS - 1), assess(case, NOW + 10 * DAY_MS)
    assert logit(on.before) - logit(before.before) == pytest.approx(-PRIORS.named()["contract"])
    assert on.after > before.after


def test_the_risk_of_one_contact_by_hand() -> None:
    """Nine repeat purchases, one unsolved complaint with two transfers, thirty days later, at half the own gap."""
    now = at(customer(10, 60, ended_days_ago=0), [contact(transfers=2)], NOW + 30 * DAY_MS)
    before = -2.3 - 0.25 * log1p(9)
    weight = 2.718281828459045 ** (-30 / 60)
    assert logit(now.before) == pytest.approx(before)
    assert logit(now.after) == pytest.approx(before + weight * (0.3 + 2 * 0.25 + 0.8))


@pytest.mark.parametrize(
    "wrong", [{"intercept": nan}, {"fade_days": 0.0}, {"clear_at": 0.4, "raise_at": 0.3}, {"critical_at": 1.1}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"finite|fade_days|thresholds"):
        replace(PRIORS, **wrong)


def test_every_term_has_a_coefficient_and_its_sign_is_that_of_the_literature() -> None:
    lowers = {"prior_purchases", "contract", "recovered", "bought_again"}
    assert {term: PRIORS.named()[term] < 0 for term in TERMS} == {term: term in lowers for term in TERMS}
