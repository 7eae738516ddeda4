"""Time passes: open alerts are looked at again with no event at all."""

from copy import deepcopy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.core.contract.events import Event, Purchase, ServiceContact
from pipeline.core.fold import Where, look_again, step, tick
from pipeline.core.risk.event_routes import ALL
from pipeline.core.state.customer import DAY_MS, Customer, encode_state, glance
from tests.core.histories import CUSTOMER, START, histories
from tests.examples import examples

AT_RISK: list[Event] = [
    Purchase(
        event_id="r-1", customer_id=CUSTOMER, occurred_at=START, order_id="o", amount="1", currency="EUR"
    ),
    ServiceContact(
        event_id="r-2", customer_id=CUSTOMER, occurred_at=START, contact_id="k-r", issue_id="i-r", stage="opened",
        opened_at=START, channel="phone", kind="cancellation",
    ),
]  # fmt: skip


def folded(events: list[Event], customer: Customer | None = None) -> Customer:
    customer = customer or Customer(customer_id=CUSTOMER)
    for number, event in enumerate(events, start=max(customer.applied.values(), default=-1) + 1):
        customer = step(customer, event, Where("any", number)).customer
    return customer


@settings(max_examples=examples(200), deadline=None)
@given(histories, st.integers(0, 400))
def test_a_state_is_a_function_of_its_events_and_its_last_tick(events: list[Event], days: int) -> None:
    """Whatever came before the tick or after it, in whatever order."""
    events = [*AT_RISK, *events]
    expected = folded(events)
    at = (expected.last_event_at // DAY_MS + days) * DAY_MS
    half = tick(folded(events[: 2 + len(events) // 2]), at).customer
    assume(half.looked_at)
    expected.looked_at = at
    look_again(expected, ALL, "")
    assert folded(events[2 + len(events) // 2 :], half).alerts == expected.alerts


@settings(max_examples=examples(200), deadline=None)
@given(histories, st.integers(0, 400))
def test_what_a_tick_tells_is_what_changed(events: list[Event], days: int) -> None:
    customer = folded(events)
    before = deepcopy(customer)
    done = tick(customer, customer.last_event_at + days * DAY_MS)
    assert customer == before
    told = {alert.issue_id for alert in done.alerts}
    was, now = ({state.issue_id: state for state in c.alerts} for c in (customer, done.customer))
    assert told == {issue for issue in was if was[issue] != now.get(issue)}
    assert all(alert.caused_by_event.startswith("tick:") for alert in done.alerts)


@settings(max_examples=examples(200), deadline=None)
@given(histories)
def test_in_the_end_every_open_alert_fades(events: list[Event]) -> None:
    customer = folded(events)
    done = tick(customer, customer.last_event_at + 5_000 * DAY_MS)
    assert {state.status for state in done.customer.alerts} <= {"resolved", "closed"}


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_a_second_tick_at_the_same_moment_is_none(events: list[Event]) -> None:
    customer = folded(events)
    once = tick(customer, customer.last_event_at + DAY_MS).customer
    assert tick(once, once.looked_at).customer is once


@settings(max_examples=examples(200), deadline=None)
@given(histories)
def test_a_glance_at_an_encoded_state_sees_what_the_state_says(events: list[Event]) -> None:
    customer = folded(events)
    is_open = any(state.status == "open" for state in customer.alerts)
    assert glance(encode_state(customer)) == (customer.last_event_at, is_open)


@pytest.mark.parametrize("value", [b"", b"\xc0", b"no state"])
def test_a_glance_at_what_is_no_state_sees_nothing(value: bytes) -> None:
    assert glance(value) == (0, False)
