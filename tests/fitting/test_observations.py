"""One observation per contact: what was known then, and what came of it."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from pipeline.core.contract.events import Event
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.assessment import PRIORS, assess, sigmoid
from pipeline.core.risk.issue_facts import risk_inputs
from pipeline.core.risk.terms import TERMS
from pipeline.core.state.customer import Customer
from pipeline.fitting.observations import Observations, Per, Silence, gather, observations, typical_gap_days
from tests.fitting.histories import acted, bought, contacted, on, other, simulated

WEEK = [bought(0), bought(7), bought(14)]
"""Two gaps of seven days."""
SILENCE = Silence(gaps=4, shortest_days=1, longest_days=1_000)
ALERT = alert_id("c", "i")


def seen(*events: Event, until: float = 2_000, per: Per = "contact", typical: float = 7.0) -> Observations:
    return observations(gather([list(events), other(until)]), SILENCE, typical, per)


def term(found: Observations, name: str) -> list[float]:
    values: list[float] = found.terms[:, TERMS.index(name)].tolist()
    return values


RETURNS = {
    "nothing at all": ([], 1.0),
    "a purchase within four gaps": ([bought(43)], 0.0),
    "a purchase after four gaps": ([bought(45)], 1.0),
    "a purchase under obligation": ([bought(30, obligated=True)], 1.0),
    "a refund": ([bought(30, amount="-10.00", refund_of="o14")], 1.0),
    "another contact": ([contacted(30, "other")], 1.0),
}


@pytest.mark.parametrize(("after", "silent"), RETURNS.values(), ids=RETURNS)
def test_silent_is_no_voluntary_purchase_within_four_of_the_customers_own_gaps(
    after: list[Event], silent: float
) -> None:
    found = seen(*WEEK, contacted(16), *after)
    assert found.silent[0] == silent


def test_the_horizon_follows_the_customers_own_rhythm_and_its_bounds() -> None:
    days = Silence(gaps=3, shortest_days=60, longest_days=365)
    horizon = days.horizon(np.array([0.0, 90.0, 1_000.0, 10.0]), np.array([0.0, 1.0, 1.0, 9.0]), 30.0) / 86_400_000
    assert horizon.tolist() == [90.0, 180.0, 365.0, 60.0]


def test_a_contact_whose_horizon_is_not_over_is_left_out_even_if_the_customer_has_bought() -> None:
    assert len(seen(*WEEK, contacted(16), bought(20), until=43)) == 0
    assert len(seen(*WEEK, contacted(16), bought(20), until=45)) == 1


def test_a_prospect_has_nothing_to_fall_silent_from() -> None:
    assert len(seen(contacted(1), *[bought(day) for day in (5, 12, 19)])) == 0


def test_what_is_known_is_taken_when_the_contact_ended_and_later_stages_do_not_show() -> None:
    opened = contacted(16, ended=16, stage="opened")
    ended, late = contacted(16, ended=16.5, transfers=2), contacted(16, ended=18, transfers=9, resolved=True)
    found = seen(*WEEK, opened, ended, late)
    assert len(found) == 1
    assert term(found, "transfer") == [2.0]
    assert term(found, "unresolved") == [1.0]
    assert found.at[0] == milliseconds(on(16.5))


def test_no_change_of_the_future_changes_what_was_known() -> None:
    """A feature that only the future holds cannot be in an observation: other futures leave it as it is."""
    lives = list(simulated(400, 500, seed=8))
    moments = sorted(event.occurred_at for life in lives for event in life)
    cut = moments[len(moments) // 2]
    whole = gather(lives)
    past = gather([[event for event in life if event.occurred_at <= cut] for life in lives])
    known = {(s.customer, s.at): (s.terms, s.recency_days, s.repeats, s.active_days) for s in whole.seen}
    same = [s for s in past.seen if (s.customer, s.at) in known]  # all but those still in talk at the cut
    assert len(same) > 60
    assert len(past.seen) - len(same) <= 3
    for s in same:
        assert known[s.customer, s.at] == (s.terms, s.recency_days, s.repeats, s.active_days)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        ([acted(17, ALERT)], True),
        ([acted(17, ALERT, "none")], False),
        ([acted(17, alert_id("c", "another"))], False),
        ([acted(50, ALERT)], False),
        ([], False),
    ],
)
def test_acted_is_an_action_on_the_issues_alert_within_thirty_days(outcome: list[Event], counts: bool) -> None:
    assert seen(*WEEK, contacted(16), *outcome).acted.tolist() == [counts]


def test_an_issue_is_observed_once_at_its_last_contact() -> None:
    events: list[Event] = [*WEEK, contacted(16), contacted(20, channel="email"), contacted(21, "another")]
    assert len(seen(*events)) == 3
    found = seen(*events, per="issue")
    assert term(found, "repeat_contact") == [1.0, 0.0]
    assert term(found, "channel_switch") == [1.0, 0.0]


def test_the_order_in_which_events_are_read_does_not_show() -> None:
    events: list[Event] = [*WEEK, contacted(16), contacted(20, transfers=1), acted(21, ALERT), bought(60)]
    shuffled = Random(2).sample(events, len(events))
    one, same = seen(*events), seen(*shuffled)
    assert one.terms.tolist() == same.terms.tolist()
    assert (one.silent.tolist(), one.acted.tolist()) == (same.silent.tolist(), same.acted.tolist())


def test_the_numbers_of_the_terms_times_any_coefficients_are_the_products_own_risk() -> None:
    random = Random(4)
    policy = PRIORS.with_coefficients(**{name: random.uniform(-1, 1) for name in ("intercept", *TERMS)})
    for events in list(simulated(60, 900, seed=5)):
        state, risks = Customer(customer_id=events[0].customer_id), dict[float, float]()
        for offset, event in enumerate(sorted(events, key=lambda e: (e.occurred_at, e.event_id))):
            state = step(state, event, Where("all", offset)).customer
            at = milliseconds(event.occurred_at)
            issue = [c for c in state.contacts if c.issue_id == getattr(event, "issue_id", "")]
            if issue:
                risks[float(at)] = assess(risk_inputs(state, issue), at, policy).after
        for one in gather([events]).seen:
            logit = policy.intercept + sum(
                value * coefficient for value, coefficient in zip(one.terms, policy.coefficients, strict=True)
            )
            assert sigmoid(logit) == pytest.approx(risks[float(one.at)])


def test_the_typical_gap_is_the_median_of_what_was_over_by_then() -> None:
    customers: list[Sequence[Event]] = [[bought(0), bought(10), bought(40)], [bought(0), bought(20)]]
    history = gather(customers)
    assert typical_gap_days(history, milliseconds(on(100))) == 20
    assert typical_gap_days(history, milliseconds(on(15))) == 10
    assert np.isnan(typical_gap_days(history, milliseconds(on(5))))


def test_a_purchase_under_obligation_is_no_rhythm() -> None:
    assert gather([[bought(0), bought(5, obligated=True), bought(30)]]).gaps == [
        (milliseconds(on(30)) // 86_400_000 * 86_400_000, 30)
    ]
