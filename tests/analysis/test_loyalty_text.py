"""The loyalty state as a person reads it: one sentence per fact, and none for what nobody knows."""

from collections.abc import Sequence

import pytest

from pipeline.analysis import customer_profile, loyalty_text
from pipeline.analysis.customer_profile import CustomerProfile
from pipeline.cli.printing import customer as printing
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.events import Event
from pipeline.core.loyalty.loyalty_state import loyalty
from tests.core.histories import START, replay
from tests.core.loyalty.test_lifecycle import day
from tests.core.loyalty.test_loyalty_state import NORMS, bound, buying, said
from tests.core.test_fold import bought, contacted

MONTHS = range(1, 8)
CONTRACT: list[Event] = [
    bought(0, bindings=[bound("contractual", 730, 640)], survey_consent="existing_customer"),
    *(bought(month, day=30 * month, obligated=True) for month in MONTHS),
    said("csat", 5, 200, 1, 5),
]
SEEN: dict[str, tuple[Sequence[Event], float, list[str]]] = {
    "a captive": (
        CONTRACT,
        220,
        [
            "Active by contract; otherwise silent for 220 days, 6.5 times the usual gap of 34 days.",
            "Neither regular nor long-standing: first bought 220 days ago; 1 purchase day within the last year, a mean "
            "basket of 1.0 typical ones.",
            "Attachment 0% (low): comes back unprompted 0%.",
            "Bound by contract until 2028-01-01 (notice by 2027-10-03).",
            "Captive: bound, not attached; will be free to go on 2028-01-01. This is risk, not loyalty.",
            "Satisfied, but at risk: captive.",
            "Surveys: may be sent; the exception for existing customers is claimed.",
        ],
    ),
    "one in a currency nobody else pays in": (
        buying(*range(0, 300, 20), amount="5000", currency="JPY"),
        300,
        [
            "Active: silent for 20 days, 1.0 times their usual gap of 21 days.",
            "Not long-standing, perhaps regular: first bought 300 days ago; 15 purchase days within the last year, a "
            "basket nobody can compare, for want of purchases in its currency.",
            "Attachment 94%: comes back unprompted 88%, pays the full price 100%.",
            "Bound by nothing we know of.",
            "Surveys: may not be sent; nobody knows whether they want to be asked.",
        ],
    ),
    "one to whom a call was promised": (
        [bought(0), contacted(1, day=1, promised_callback_at=START)],
        9,
        [
            "New: silent for 9 days, 0.3 times the usual gap of 34 days.",
            "Neither regular nor long-standing: first bought 9 days ago; 1 purchase day within the last year, a mean "
            "basket of 1.0 typical ones.",
            "Attachment: too early to tell.",
            "Bound by nothing we know of.",
            "Our promises to them: 1 missed.",
            "Surveys: may not be sent; nobody knows whether they want to be asked.",
        ],
    ),
}


@pytest.mark.parametrize(("events", "at", "lines"), SEEN.values(), ids=SEEN)
def test_a_person_reads(events: Sequence[Event], at: float, lines: list[str]) -> None:
    state = loyalty(replay(list(events))[0], day(at), NORMS)
    assert state is not None
    assert [line.strip() for line in loyalty_text.sentences(state)] == lines


def test_what_is_known_of_others_is_told() -> None:
    events = [bought(0, programme_member=True, referred_by="c-9"), bought(1, day=2, incentivised=True)]
    state = loyalty(replay(list(events))[0], day(3), NORMS, referrals=2)
    assert state is not None
    told = "".join(loyalty_text.sentences(state))
    for sentence in (
        "50% of purchases with an incentive; came back on 1 day, on 0 of them without one.",
        "In the programme; 50% of purchases as a member.",
        "Came on the recommendation of customer c-9.",
        "Brought 2 other customers by recommending us.",
    ):
        assert sentence in told


def test_a_program_reads_moments_and_money_as_text() -> None:
    customer = replay(CONTRACT)[0]
    found = customer_profile.as_data(
        CustomerProfile(customer, [], AnswerMoment(START, "asked for"), loyalty(customer, day(220), NORMS))
    )["loyalty"]
    assert found["bindings"] == [
        {"kind": "contractual", "ends_at": "2028-01-01T00:00:00Z", "notice_by": "2027-10-03T00:00:00Z"}
    ]
    assert (found["released_at"], found["net_spent"], found["captive"]) == ("2028-01-01T00:00:00Z", {"EUR": "80"}, True)


def test_a_prospect_has_no_loyalty_but_may_have_said_not_to_be_asked() -> None:
    customer = replay([contacted(1, day=1, survey_consent="withdrawn")])[0]
    known = CustomerProfile(customer, [], AnswerMoment(START, "asked for"), loyalty(customer, day(9), NORMS))
    assert customer_profile.as_data(known)["loyalty"] is None
    assert printing.loyalty_of(known) == ["Surveys: may not be sent; they do not want to be asked."]
