"""Effort from what happened, the first contact judged by what the customer does next; limits to the millisecond."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.measures.effort import IssueEffort, issues, origin_of
from pipeline.core.measures.effort_totals import EffortTotals
from pipeline.core.measures.intervals import wilson
from pipeline.core.state.customer import DAY_MS, Contact, Customer
from tests.core.histories import histories, replay

START = 20_000 * DAY_MS
LATER = START + 400 * DAY_MS


def contact(day: float, /, **said: Any) -> Contact:
    """A solved phone contact about issue ``i`` on a day after the start; ``plus`` adds milliseconds."""
    opened = START + int(day * DAY_MS) + said.pop("plus", 0)
    fields: dict[str, Any] = {
        "opened_at": opened, "contact_id": f"k-{opened}", "issue_id": "i", "last_at": opened, "last_event": "e",
        "channel": "phone", "kind": "complaint", "origin": "delivery", "resolved": True, "waiting_seconds": 0.0,
        "transfers": 0, "information_repeated": False, "self_service_first": False, "events": 1, "synthetic": False,
    }  # fmt: skip
    return Contact(**(fields | said))


def customer(*contacts: Contact) -> Customer:
    return Customer(customer_id="c", contacts=sorted(contacts, key=lambda c: (c.opened_at, c.contact_id)))


def effort(*contacts: Contact, at: int = LATER, issue: str = "i") -> IssueEffort:
    return next(found for found in issues(customer(*contacts), at) if found.issue_id == issue)


# --- a contact against the one before


@pytest.mark.parametrize(
    ("days", "plus", "week", "month"),
    [(0, 0, True, True), (7, -1, True, True), (7, 0, False, True), (30, -1, False, True), (30, 0, False, False)],
)
def test_a_repeat_is_a_contact_before_the_window_is_over(days: float, plus: int, week: bool, month: bool) -> None:
    again = contact(days, plus=plus, contact_id="z")
    _, second = effort(contact(0), again).contacts
    assert (second.repeat_7_days, second.repeat_30_days) == (week, month)


def test_a_repeat_is_counted_from_the_contact_before_not_from_the_first() -> None:
    third = effort(contact(0), contact(20), contact(40)).contacts[2]
    assert (third.repeat_7_days, third.repeat_30_days) == (False, True)


def test_a_contact_on_another_issue_is_no_repeat() -> None:
    assert len(effort(contact(0), contact(1, issue_id="j")).contacts) == 1


def test_every_change_of_channel_is_a_switch_also_back() -> None:
    found = effort(contact(0), contact(1, channel="email"), contact(2), contact(3))
    assert [c.channel_switched for c in found.contacts] == [False, True, True, False]


@pytest.mark.parametrize(
    ("before", "reopened"),
    [
        ({"resolved": True}, True),
        ({"resolved": False}, False),
        ({"resolved": True, "last_at": START + DAY_MS - 1}, True),
        ({"resolved": True, "last_at": START + DAY_MS}, False),
    ],
)
def test_reopened_is_what_was_called_solved_before_the_customer_came_again(
    before: dict[str, Any], reopened: bool
) -> None:
    assert effort(contact(0, **before), contact(1)).contacts[1].reopened is reopened


def test_what_a_contact_cost_is_taken_as_it_was_said() -> None:
    said = effort(contact(0, transfers=2, waiting_seconds=90.5, information_repeated=True, self_service_first=True))
    only = said.contacts[0]
    assert (only.transfers, only.waiting_seconds, only.information_repeated, only.self_service_first) == (
        2, 90.5, True, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("contacts", "effortless"),
    [
        ([contact(0)], True),
        ([contact(0, waiting_seconds=900.0)], True),
        ([contact(0, transfers=1)], False),
        ([contact(0, information_repeated=True)], False),
        ([contact(0), contact(60)], False),
    ],
)
def test_effortless_is_one_contact_not_passed_on_nothing_said_twice(contacts: list[Contact], effortless: bool) -> None:
    assert effort(*contacts).effortless is effortless


def test_time_to_resolution_runs_from_the_first_opening_to_the_last_stage() -> None:
    last = contact(3, last_at=START + 5 * DAY_MS)
    assert effort(contact(0), last).resolution_ms == 5 * DAY_MS
    assert effort(contact(0), last, at=START + 5 * DAY_MS - 1).resolution_ms is None
    assert effort(contact(0), contact(3, resolved=False)).resolution_ms is None


def test_the_origin_is_that_of_the_newest_contact_that_knows() -> None:
    assert origin_of([contact(0, origin="delivery"), contact(1, origin="billing")]) == "billing"
    assert origin_of([contact(0, origin="delivery"), contact(1, origin="unknown")]) == "delivery"
    assert origin_of([contact(0, origin="unknown")]) == "unknown"


# --- what the customer did next


def first(*contacts: Contact, at: int = LATER) -> tuple[str, bool, bool]:
    found = effort(*contacts, at=at).first
    return found.verdict, found.settled, found.claimed


@pytest.mark.parametrize(("plus", "settled"), [(-1, False), (0, True)])
def test_staying_away_is_provisional_until_the_window_closes(plus: int, settled: bool) -> None:
    assert first(contact(0), at=START + 30 * DAY_MS + plus) == ("solved", settled, True)
    assert effort(contact(0)).first.settles_at == START + 30 * DAY_MS


@pytest.mark.parametrize(("plus", "verdict"), [(-1, "came_back"), (0, "solved")])
def test_coming_back_about_the_issue_counts_for_thirty_days(plus: int, verdict: str) -> None:
    assert first(contact(0), contact(30, plus=plus)) == (verdict, True, True)


def test_coming_back_settles_it_at_once() -> None:
    assert first(contact(0), contact(2), at=START + 2 * DAY_MS) == ("came_back", True, True)
    assert first(contact(0), contact(2), at=START + 2 * DAY_MS - 1) == ("solved", False, True)


@pytest.mark.parametrize(("plus", "verdict"), [(-1, "came_back"), (0, "solved")])
def test_the_same_origin_under_another_number_counts_for_seven_days(plus: int, verdict: str) -> None:
    assert first(contact(0), contact(7, plus=plus, issue_id="j")) == (verdict, True, True)


@pytest.mark.parametrize("origin", ["billing", "unknown", "other"])
def test_another_origin_is_another_problem_and_no_origin_tells_nothing(origin: str) -> None:
    assert first(contact(0), contact(1, issue_id="j", origin=origin))[0] == "solved"
    assert first(contact(0, origin="other"), contact(1, issue_id="j", origin="other"))[0] == "solved"
    assert first(contact(0, origin="unknown"), contact(1, issue_id="j", origin="unknown"))[0] == "solved"


def test_an_issue_from_before_is_not_coming_back() -> None:
    assert first(contact(-1, issue_id="j"), contact(0))[0] == "solved"


def test_the_agents_word_alone_never_makes_it_solved() -> None:
    assert first(contact(0), contact(5)) == ("came_back", True, True)
    assert first(contact(0, resolved=False)) == ("left_open", True, False)
    assert first(contact(0, resolved=False), at=START + DAY_MS) == ("left_open", False, False)


def test_the_agents_word_is_not_known_before_it_was_said() -> None:
    late = contact(0, last_at=START + 40 * DAY_MS)
    assert first(late, at=START + 40 * DAY_MS - 1) == ("left_open", True, False)
    assert first(late, at=START + 40 * DAY_MS) == ("solved", True, True)


@given(histories, st.integers(0, 500), st.integers(0, 100))
def test_once_the_customers_doing_has_settled_it_time_changes_nothing(
    events: list[Any], day: int, days_later: int
) -> None:
    known, _ = replay(events)
    at = 20_454 * DAY_MS + day * DAY_MS
    before = {found.issue_id: found.first for found in issues(known, at)}
    after = {found.issue_id: found.first for found in issues(known, at + days_later * DAY_MS)}
    assert before.keys() <= after.keys()
    for issue_id, was in before.items():
        now = after[issue_id]
        assert was.settles_at == now.settles_at
        if was.settled:
            assert now.settled
            assert (was.verdict == "came_back") is (now.verdict == "came_back")


@given(histories)
def test_an_issue_costs_at_least_as_much_as_before_when_time_passes(events: list[Any]) -> None:
    known, _ = replay(events)
    early, late = (issues(known, 20_454 * DAY_MS + day * DAY_MS) for day in (40, 400))
    contacts = {found.issue_id: found.contacts for found in late}
    for found in early:
        assert contacts[found.issue_id][: len(found.contacts)] == found.contacts


# --- by origin


def test_effort_is_added_up_by_origin_with_the_claim_beside_what_customers_did() -> None:
    ledger = EffortTotals()
    ledger.add(issues(customer(contact(0), contact(2, channel="email", transfers=2, synthetic=True)), LATER))
    ledger.add(issues(customer(contact(0, waiting_seconds=120.0, self_service_first=True)), LATER))
    ledger.add(issues(customer(contact(0, resolved=False)), LATER))
    ledger.add(issues(customer(contact(390)), LATER))
    ledger.add(issues(customer(contact(0, origin="billing")), LATER))
    everything, delivery, billing = ledger.result()
    assert [found.origin for found in (everything, delivery, billing)] == ["all", "delivery", "billing"]
    assert (everything.issues, delivery.issues, delivery.contacts, delivery.synthetic_issues) == (5, 4, 5, 1)
    assert delivery.first_contact_resolution == wilson(1, 3)
    assert delivery.agents_claim == wilson(2, 3)
    assert (delivery.provisional, delivery.provisional_solved) == (1, 1)
    assert delivery.effortless == wilson(3, 4)
    assert (delivery.repeats_7_days_per_issue, delivery.reopenings_per_issue) == (0.25, 0.25)
    assert (delivery.transfers_per_issue, delivery.channel_switches_per_issue) == (0.5, 0.25)
    assert delivery.waiting_minutes_per_contact == pytest.approx(2 / 5)
    assert delivery.self_service_first == wilson(1, 4)
    assert delivery.called_solved == 3
    assert delivery.days_to_resolution == pytest.approx(2 / 3)


def test_the_order_of_customers_does_not_show() -> None:
    """Fractions add up to another sum backwards; the waiting of three customers does not."""
    waited = [issues(customer(contact(0, waiting_seconds=seconds)), LATER) for seconds in (32.49, 4.03, 26.58)]
    forwards, backwards = EffortTotals(), EffortTotals()
    for one, other in zip(waited, reversed(waited), strict=True):
        forwards.add(one)
        backwards.add(other)
    assert forwards.result() == backwards.result()


def test_nothing_settled_and_nothing_solved_give_no_share() -> None:
    ledger = EffortTotals()
    ledger.add(issues(customer(contact(0, resolved=False)), START + DAY_MS))
    found = ledger.result()[0]
    assert (found.first_contact_resolution, found.agents_claim, found.days_to_resolution) == (None, None, None)
    assert EffortTotals().result() == []


def test_no_report_knows_an_agent() -> None:
    """By origin, never by agent: there is no such field anywhere in the facts or in the report."""
    ledger = EffortTotals()
    ledger.add(issues(customer(contact(0)), LATER))
    names = {*Contact.__struct_fields__, *type(ledger.result()[0]).__dataclass_fields__} - {"agents_claim"}
    assert not [name for name in names if "agent" in name]
