"""Who is held out: drawn from the alert's id alone, in the share that was asked for."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.holdout import fraction, held_out

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
