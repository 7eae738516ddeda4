"""The hidden truth: it is what the events show, near the published figures, and the product can find it again."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.measures.effect import Arm, effect
from pipeline.core.risk.alerts import alert_id
from pipeline.core.risk.assessment import PRIORS, RiskPolicy, assess
from pipeline.core.risk.holdout import Experiment, held_out
from pipeline.core.risk.issue_facts import risk_inputs
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.risk.terms import TERMS as PRODUCT_TERMS
from pipeline.core.state.customer import DAY_MS, Customer
from pipeline.errors import Refused
from pipeline.simulate import population
from pipeline.simulate.event_senders import simulated as made
from pipeline.simulate.send import encode
from pipeline.simulate.truth import HIDDEN, TERMS, IssueTruth, Life
from pipeline.topics import BY_NAME

pytestmark = pytest.mark.xdist_group("truth")
DAYS = 730
HALF_HELD_OUT = replace(HIDDEN, held_out=0.5)
END = "2027-01-01T00:00:00Z"


@cache
def sent() -> list[tuple[str, dict[str, Any]]]:
    """What 6,000 people do in two years; made when a test asks."""
    return population.simulated(6_000, DAYS, seed=3, hidden=HALF_HELD_OUT)


@cache
def lived() -> list[Life]:
    """What nobody sees of them."""
    return list(population.truth(6_000, DAYS, seed=3, hidden=HALF_HELD_OUT))


@cache
def issues_of_all() -> dict[str, IssueTruth]:
    """The same of every issue."""
    return {issue.issue_id: issue for life in lived() for issue in life.issues}


def decoded(events: list[tuple[str, dict[str, object]]]) -> dict[str, list[tuple[str, Event]]]:
    """Events by customer, in time order, with their topics."""
    decoders = {topic.name: Decoder(topic.kind) for topic in BY_NAME.values() if topic.kind}
    found: dict[str, list[tuple[str, Event]]] = defaultdict(list)
    for topic, event in events:
        found[str(event["customer_id"])].append(
            (topic, decoders[topic](encode(event), datetime(2028, 1, 1, tzinfo=UTC)).event)
        )
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_who_leaves_buys_no_more_and_who_stays_is_not_said_to_have_left() -> None:
    last: dict[str, datetime] = {}
    for topic, event in sent():
        if topic == "purchases":
            last[str(event["customer_id"])] = datetime.fromisoformat(str(event["occurred_at"]))
    for life in lived():
        assert (life.left_at is None) == (life.because is None)
        assert (life.because == "issue") == any(issue.left for issue in life.issues)
        assert not any(issue.left for issue in life.issues[:-1])
        if life.left_at is not None:
            assert int(last[life.customer_id].timestamp()) <= life.left_at.timestamp()


def test_calls_are_in_the_data_where_the_truth_says_and_for_nobody_who_is_held_out() -> None:
    called = {str(event["alert_id"]): event for topic, event in sent() if topic == "alert-outcomes"}
    for life in lived():
        for issue in life.issues:
            assert issue.alert_id == alert_id(life.customer_id, issue.issue_id)
            if issue.arm != "not told":
                assert issue.unaided >= HIDDEN.call_from
                assert (issue.arm == "held out") == held_out(life.customer_id, 0.5)
            if issue.alert_id in called:
                assert issue.arm == "called"
                assert str(called[issue.alert_id]["occurred_at"]) <= issue.decided_at.isoformat()
            elif issue.arm == "called":
                assert issue.decided_at.isoformat() > END
    assert len(called) > 100


def alerts_of(events: list[tuple[str, Event]], policy: RiskPolicy) -> dict[str, ChurnAlert]:
    """The last message about each alert of a customer."""
    state, told = Customer(customer_id=events[0][1].customer_id), dict[str, ChurnAlert]()
    for offset, (topic, event) in enumerate(events):
        done = step(state, event, Where(topic, offset), policy)
        state = done.customer
        told.update({alert.alert_id: alert for alert in done.alerts})
    return told


@pytest.mark.parametrize(
    "policy", [PRIORS, replace(PRIORS, holdout=0.5), replace(PRIORS, experiments=(Experiment("spring", 0, 0.5),))],
    ids=["nobody held out", "held out by alert", "held out by customer"],
)  # fmt: skip
def test_every_outcome_is_about_an_alert_that_the_desk_was_told_of(policy: RiskPolicy) -> None:
    sent = [
        event
        for life in population.lives(range(1_500), DAYS, 3, population.FIRST_DAY, HALF_HELD_OUT, policy)
        for event in population.told(life)[0]
    ]
    checked = 0
    for events in decoded(population.in_time_order(sent)).values():
        named = [event.alert_id for _, event in events if isinstance(event, AlertOutcome)]
        if named:
            told = alerts_of(events, policy)
            assert all(not told[alert].held_out for alert in named)
            checked += len(named)
    assert checked > 20


def test_outcomes_say_why_and_the_reason_goes_with_the_result() -> None:
    reports = [event for topic, event in sent() if topic == "alert-outcomes"]
    assert {"problem_solved", "false_alarm", "solved_itself"} <= {str(report.get("reason")) for report in reports}
    assert decoded([("alert-outcomes", report) for report in reports])


def test_a_call_moves_the_logit_by_what_was_planted_and_nothing_else_does() -> None:
    for issue in issues_of_all().values():
        moved = log(issue.hazard / (1 - issue.hazard)) - log(issue.unaided / (1 - issue.unaided))
        assert moved == pytest.approx(HIDDEN.call if issue.arm == "called" else 0, abs=1e-9)


def test_without_an_effect_the_same_people_live_the_same_lives_up_to_their_first_call() -> None:
    other = population.truth(300, DAYS, seed=3, hidden=replace(HALF_HELD_OUT, call=0.0))
    for with_effect, without in zip(lived(), other, strict=False):
        for one, same in zip(with_effect.issues, without.issues, strict=False):
            assert (one.values, one.unaided, one.arm) == (same.values, same.unaided, same.arm)


def test_as_many_leave_as_the_hazards_say_at_every_level_of_hazard() -> None:
    ranked = sorted(issues_of_all().values(), key=lambda issue: issue.hazard)
    size = len(ranked) // 8
    for first in range(0, 8 * size, size):
        some = ranked[first : first + size]
        expected = sum(issue.hazard for issue in some)
        spread = sum(issue.hazard * (1 - issue.hazard) for issue in some) ** 0.5
        assert abs(sum(issue.left for issue in some) - expected) < 3.5 * spread


def test_the_figures_stay_near_the_published_ones() -> None:
    """CEB (domain.md 3): disloyal after low effort 9 %, after high effort 96 %; a recontact multiplies by 2.5."""
    effort = {
        name: sum(getattr(HIDDEN, term) * v for term, v in zip(TERMS, issue.values, strict=True) if term != TERMS[0])
        for name, issue in issues_of_all().items()
    }
    low = mean([issue.unaided for name, issue in issues_of_all().items() if effort[name] == 0])
    high = mean([issue.unaided for name, issue in issues_of_all().items() if effort[name] > 5])
    once, twice = (mean([i.unaided for i in issues_of_all().values() if i.contacts == contacts]) for contacts in (1, 2))
    assert low == pytest.approx(0.09, abs=0.05)
    assert high == pytest.approx(0.96, abs=0.03)
    assert twice / once == pytest.approx(2.5, abs=0.5)


def test_the_terms_of_the_truth_are_those_of_the_product_counted_independently() -> None:
    """The product's fold and assessment, at the end of the last contact, against the generator's own bookkeeping."""
    checked = 0
    for customer, events in decoded(sent()[: len(sent()) // 2]).items():
        state = Customer(customer_id=customer)
        for offset, (topic, event) in enumerate(events):
            state = step(state, event, Where(topic, offset)).customer
            if not isinstance(event, ServiceContact) or event.stage == "opened":
                continue
            truth = issues_of_all()[event.issue_id]
            issue = [contact for contact in state.contacts if contact.issue_id == event.issue_id]
            if len(issue) == truth.contacts:
                found = assess(risk_inputs(state, issue), milliseconds(event.occurred_at)).values
                values = dict(zip(PRODUCT_TERMS, found, strict=True))
                planted = dict(zip(TERMS, truth.values, strict=True))
                assert log(1 + values["prior_purchases"]) == pytest.approx(planted.pop("prior_purchases"))
                assert {term: values[term] for term in planted} == pytest.approx(planted, abs=1e-5)
                checked += 1
    assert checked > 300


def measured(issues: list[IssueTruth]) -> tuple[Arm, Arm]:
    """The called and the held out, by the truth about who left."""
    called, untreated = ([i.left for i in issues if i.arm == arm] for arm in ("called", "held out"))
    return Arm(len(called), sum(called)), Arm(len(untreated), sum(untreated))


def test_the_hold_out_measures_the_planted_effect_within_its_interval() -> None:
    found = effect(*measured(list(issues_of_all().values())))
    planted = mean([_planted(issue) for issue in issues_of_all().values() if issue.arm != "not told"])
    assert planted < -0.1
    assert found.difference.low <= planted <= found.difference.high
    assert found.verdict == "acting helped"


def test_a_planted_effect_of_nothing_is_no_significant_difference() -> None:
    lives = population.truth(6_000, DAYS, seed=3, hidden=replace(HALF_HELD_OUT, call=0.0))
    found = effect(*measured([issue for life in lives for issue in life.issues]))
    assert found.verdict == "no significant difference"


def test_a_planted_harm_is_measured_as_harm() -> None:
    lives = population.truth(6_000, DAYS, seed=3, hidden=replace(HALF_HELD_OUT, call=1.0))
    found = effect(*measured([issue for life in lives for issue in life.issues]))
    assert found.verdict == "acting harmed"


def test_the_effect_is_found_from_alerts_and_purchases_alone() -> None:
    """As a firm would: alerts that the product raised, arms from customers' ids, who was silent for half a year."""
    horizon, end = 180 * DAY_MS, milliseconds(datetime(2027, 1, 1, tzinfo=UTC))
    arms: dict[bool, list[bool]] = {True: [], False: []}
    expected: list[float] = []
    for customer, events in decoded(sent()).items():
        state, told = Customer(customer_id=customer), dict[str, int]()
        for offset, (topic, event) in enumerate(events):
            done = step(state, event, Where(topic, offset))
            state = done.customer
            for alert in done.alerts:
                told[alert.issue_id] = milliseconds(alert.occurred_at)
        bought = [milliseconds(event.occurred_at) for _, event in events if isinstance(event, Purchase)]
        for issue_id, at in told.items():
            if at + horizon <= end:
                silent = not any(at < moment <= at + horizon for moment in bought)
                arms[held_out(customer, 0.5)].append(silent)
                expected.append(_planted(issues_of_all()[issue_id]))
    treated, untreated = (Arm(len(silent), sum(silent)) for silent in (arms[False], arms[True]))
    found = effect(treated, untreated)
    assert found.difference.value < 0  # no verdict: 11 points could have been shown, 12 are planted
    assert found.difference.low <= mean(expected) <= found.difference.high


def _planted(issue: IssueTruth) -> float:
    """What a call changes in the chance to leave; nothing where the desk never hears of the issue."""
    if issue.arm == "not told":
        return 0.0
    odds = issue.unaided / (1 - issue.unaided) * exp(HIDDEN.call)
    return odds / (1 + odds) - issue.unaided


def test_the_truth_can_be_had_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    events = made(300, 365, 5, population.FIRST_DAY, file)
    assert events == population.simulated(300, 365, 5)
    model, *customers = [json.loads(line) for line in file.read_text().splitlines()]
    assert model["kind"] == "model"
    assert model["unresolved"] == HIDDEN.unresolved
    assert len(customers) == 300
    assert all(line["synthetic"] for line in [model, *customers])
    issues = [issue for customer in customers for issue in customer["issues"]]
    assert {"hazard", "hazard_without_call", "arm", "left", *TERMS} < set(issues[0])
    assert [issue["left"] for issue in issues] == [
        issue.left for life in population.truth(300, 365, 5) for issue in life.issues
    ]


def test_a_truth_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot write the truth"):
        made(10, 10, 1, population.FIRST_DAY, tmp_path / "missing" / "truth.jsonl")
