"""Who is held out: by customer within an experiment, by alert before the first, in the share that was asked for."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.holdout import Draw, Experiment, arm_of, check_order, fraction, held_out

ALERTS = [alert_id(f"c-{number}", "i-1") for number in range(20_000)]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_share_that_was_asked_for_is_held_out(share: float) -> None:
    found = sum(held_out(alert, share) for alert in ALERTS)
    assert abs(found / len(ALERTS) - share) < 4 * (share * (1 - share) / len(ALERTS)) ** 0.5


def test_the_fractions_are_even_over_the_whole_range() -> None:
    """Chi-squared over 100 cells: 99 degrees of freedom, 99.9 % lie below 148.2."""
    cells = [0] * 100
    for alert in ALERTS:
        cells[int(fraction(alert) * 100)] += 1
    expected = len(ALERTS) / 100
    assert sum((count - expected) ** 2 / expected for count in cells) < 148.2


@given(st.text())
def test_a_share_of_nothing_holds_out_nobody_and_of_everything_everybody(alert: str) -> None:
    assert not held_out(alert, 0)
    assert held_out(alert, 1)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_is_held_out_stays_so_when_the_share_grows(alert: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert held_out(alert, high) or not held_out(alert, low)


@pytest.mark.parametrize("share", [nan, inf, -inf, -0.001, 1.001])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        held_out(ALERTS[0], share)


def test_another_salt_draws_anew_and_independently() -> None:
    both = sum(held_out(alert, 0.5) and held_out(alert, 0.5, "2027") for alert in ALERTS)
    assert abs(both / len(ALERTS) - 0.25) < 0.015


def test_salt_and_alert_are_not_run_together() -> None:
    assert fraction("bc", "a") != fraction("c", "ab")


def test_the_arm_of_an_alert_never_changes() -> None:
    """Stored: an arm that moved with a new version would mix the two arms of a running trial."""
    assert fraction(alert_id("00042", "issue-1")) == pytest.approx(STORED, abs=1e-15)


STORED = 0.9211753531424745


# --- by customer

SPRING, AUTUMN = Experiment("spring", 1_000, 0.3), Experiment("autumn", 2_000, 0.6)
BOTH = (SPRING, AUTUMN)
ids, moments, shares = st.text(min_size=1), st.integers(0, 3_000), st.floats(0, 1)


@given(ids, st.lists(st.tuples(ids, st.integers(1_000, 1_999)), min_size=1), shares)
def test_within_an_experiment_a_customer_is_in_one_arm(
    customer: str, alerts: list[tuple[str, int]], share: float
) -> None:
    """Whatever alerts they have, whenever each was raised, and however many are kept outside of experiments."""
    arms = {arm_of(alert, customer, raised, share, BOTH) for alert, raised in alerts}
    assert arms == {Draw(held_out(customer, 0.3, "spring"), "spring")}


@given(ids, ids, moments, shares)
def test_what_was_raised_before_the_first_experiment_keeps_the_arm_of_its_id(
    alert: str, customer: str, raised: int, share: float
) -> None:
    before = arm_of(alert, customer, raised, share)
    assert before == Draw(held_out(alert, share), "")
    assert (arm_of(alert, customer, raised, share, BOTH) == before) or raised >= SPRING.since


@given(ids, ids, st.integers(0, 1_999), shares)
def test_an_experiment_that_begins_later_changes_no_arm(alert: str, customer: str, raised: int, share: float) -> None:
    assert arm_of(alert, customer, raised, share, BOTH) == arm_of(alert, customer, raised, share, (SPRING,))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_an_experiment_holds_out_its_share_of_the_customers(share: float) -> None:
    drawn = [arm_of("", f"c-{number}", 1, 0, (Experiment("spring", 0, share),)).held_out for number in range(20_000)]
    assert abs(sum(drawn) / len(drawn) - share) < 4 * (share * (1 - share) / len(drawn)) ** 0.5


def test_experiments_and_the_draw_of_alerts_are_independent_of_each_other() -> None:
    customers = [f"c-{number}" for number in range(20_000)]
    half = [(Experiment("spring", 0, 0.5),), (Experiment("autumn", 0, 0.5),), ()]
    draws = [[arm_of(alert_id(c, "i-1"), c, 1, 0.5, named).held_out for c in customers] for named in half]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        both = sum(mine and theirs for mine, theirs in zip(draws[one], draws[other], strict=True))
        assert abs(both / len(customers) - 0.25) < 0.015


def test_the_arm_of_a_customer_never_changes() -> None:
    """Stored, like that of an alert."""
    assert fraction("00042", "spring") == pytest.approx(STORED_OF_CUSTOMER, abs=1e-15)


STORED_OF_CUSTOMER = 0.6164919380567325
WRONG = {
    "no name": [Experiment("", 1, 0.1)],
    "a name twice": [SPRING, SPRING._replace(since=5_000)],
    "no order": [AUTUMN, SPRING],
    "one start for two": [SPRING, AUTUMN._replace(since=SPRING.since)],
    "no share": [SPRING._replace(share=nan)],
}


@pytest.mark.parametrize("experiments", WRONG.values(), ids=WRONG)
def test_experiments_that_cannot_draw_are_refused(experiments: list[Experiment]) -> None:
    with pytest.raises(ValueError, match=r"experiment|share"):
        check_order(experiments)
