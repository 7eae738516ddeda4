"""The fold: order, duplicates and lateness cannot be seen in what comes out of it."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contract.events import Event, Line, Purchase, ServiceContact
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import MOST_UNITS, Where, apply, look_again, step
from pipeline.core.risk.alert_text import LEFT_ALONE
from pipeline.core.risk.alerts import reassess, rounded
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.changed_issues import affected, merged
from pipeline.core.risk.inputs import ChangedIssues
from pipeline.core.state.customer import (
    CATEGORIES_KEPT,
    CONTACTS_KEPT,
    MARK_BYTES,
    RECENT_IDS,
    Customer,
    decode_named,
    decode_state,
    encode_named,
    encode_state,
    occasion_after,
    recency_days,
    repeat_occasions,
)
from pipeline.core.state.marks import is_recent
from pipeline.errors import BadEvent
from tests.core.histories import CUSTOMER, START, TOPIC_OF, facts, histories, replay
from tests.examples import examples


def bought(number: int, *, day: float = 0, amount: str = "10.00", **more: object) -> Purchase:
    fields: dict[str, object] = {
        "event_id": f"p-{number}",
        "customer_id": CUSTOMER,
        "order_id": f"o-{number}",
        "occurred_at": START + timedelta(days=day),
        "amount": amount,
        "currency": "EUR",
    }
    return Purchase(**(fields | more))  # type: ignore[arg-type]


def contacted(number: int, *, day: float, issue: str = "i", **more: object) -> ServiceContact:
    at = START + timedelta(days=day)
    fields: dict[str, object] = {
        "event_id": f"k-{number}-{day}",
        "customer_id": CUSTOMER,
        "occurred_at": at,
        "contact_id": f"k-{number}",
        "issue_id": issue,
        "stage": "opened",
        "opened_at": at,
        "channel": "phone",
        "kind": "complaint",
    }
    return ServiceContact(**(fields | more))  # type: ignore[arg-type]


def told(events: list[Event]) -> dict[str, dict[str, object]]:
    """The last thing the desk was told about every alert that was not taken back, but for how it came to that."""
    last = {alert.alert_id: alert for result in replay(events)[1] for alert in result.alerts}
    return {
        identity: {
            name: value
            for name, value in msgspec.structs.asdict(alert).items()
            if name not in ("transition", "caused_by_event")
        }
        for identity, alert in last.items()
        if alert.status != "withdrawn"
    }


@settings(max_examples=examples(300), deadline=None)
@given(histories, st.data())
def test_any_interleaving_with_duplicates_ends_in_the_same_facts_and_the_same_alerts(
    events: list[Event], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    assert facts(replay(shuffled)[0]) == facts(replay(events)[0])
    assert told(shuffled) == told(events)


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_what_the_desk_was_told_last_is_what_the_state_says(events: list[Event]) -> None:
    customer, _ = replay(events)
    assert {alert.alert_id: (alert.status, alert.severity) for alert in customer.alerts} == {
        identity: (said["status"], said["severity"]) for identity, said in told(events).items()
    }


@settings(max_examples=examples(300), deadline=None)
@given(histories, st.lists(st.booleans(), max_size=40))
def test_looking_again_once_for_many_events_says_the_same_as_after_each(
    events: list[Event], together: list[bool]
) -> None:
    customer = Customer(customer_id=CUSTOMER)
    concerned: ChangedIssues | None = None
    for number, event in enumerate(events):
        customer, affected, _, _ = apply(customer, event, "any", number)
        concerned = merged(concerned, affected)
        if concerned is not None and (number == len(events) - 1 or number >= len(together) or not together[number]):
            look_again(customer, concerned, event.event_id)
            concerned = None
    if concerned is not None:
        look_again(customer, concerned, events[-1].event_id)
    expected = Customer(customer_id=CUSTOMER)
    for number, event in enumerate(events):
        expected = step(expected, event, Where("any", number)).customer
    assert customer == expected


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_a_redelivered_record_changes_nothing(events: list[Event]) -> None:
    customer, _ = replay(events)
    before = deepcopy(customer)
    for event in events:
        topic = TOPIC_OF[next(kind for kind in TOPIC_OF if isinstance(event, kind))]
        result = step(customer, event, Where(topic, customer.applied[topic]))
        assert result.redelivered
        assert result.customer is customer
        assert not result.alerts
    assert customer == before


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_events_applied_in_place_come_to_what_steps_come_to(events: list[Event]) -> None:
    own = stepped = Customer(customer_id=CUSTOMER)
    for number, event in enumerate(events):
        before = stepped
        stepped = step(stepped, event, Where("any", number)).customer
        after, concerned, _, _ = apply(own, event, "any", number)
        assert after is own
        assert concerned is None or own.contacts
        own.alerts = stepped.alerts
        assert own == stepped
        assert before is not stepped


@pytest.mark.parametrize("more", [{}, {"amount": "-1.00", "refund_of": "o"}, {"lines": [Line(category="books")]}])
def test_an_event_that_cannot_be_applied_leaves_the_customer_as_it_was(more: dict[str, object]) -> None:
    full = {"EUR": MOST_UNITS - 1}
    customer = Customer(customer_id=CUSTOMER, applied={"any": 3}, spent=dict(full), refunded=dict(full))
    before = deepcopy(customer)
    event = msgspec.structs.replace(bought(1, programme_member=True, survey_consent="granted"), **more)
    with pytest.raises(BadEvent):
        apply(customer, event, "any", 4)
    assert customer == before


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_a_step_never_changes_what_it_is_given(events: list[Event]) -> None:
    customer = Customer(customer_id=CUSTOMER)
    for number, event in enumerate(events):
        before = deepcopy(customer)
        after = step(customer, event, Where("any", number)).customer
        assert customer == before
        customer = after


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_the_encoded_state_comes_back_as_it_was(events: list[Event]) -> None:
    customer, _ = replay(events)
    assert decode_state(encode_state(customer)) == customer
    assert decode_named(encode_named(customer)) == customer


def test_a_state_of_another_version_is_refused() -> None:
    customer = Customer(customer_id=CUSTOMER, version=99)
    with pytest.raises(ValueError, match="version 99"):
        decode_state(encode_state(customer))


def test_an_event_produced_ten_times_counts_once() -> None:
    customer, steps = replay([bought(1)] * 10)
    assert customer.purchases == 1
    assert [result.duplicate for result in steps] == [False] + [True] * 9


def test_equal_content_under_another_id_is_another_purchase() -> None:
    customer, _ = replay([bought(1), bought(2)])
    assert customer.purchases == 2
    assert customer.spent == {"EUR": 200_000}


def test_a_duplicate_is_recognised_however_long_ago() -> None:
    events: list[Event] = [bought(number) for number in range(10 * RECENT_IDS)]
    assert replay([*events, *events])[0].purchases == 10 * RECENT_IDS


def test_money_is_exact_where_floats_are_not() -> None:
    customer, _ = replay([bought(n, amount="0.1") for n in range(3)] + [bought(9, amount=0.2)])  # type: ignore[arg-type]
    assert customer.spent == {"EUR": 5_000}


def test_a_total_that_would_no_longer_fit_is_the_events_fault_and_leaves_the_state_as_it_was() -> None:
    customer, _ = replay([bought(1)])
    customer.spent = {"EUR": 2**63 - 1}
    with pytest.raises(BadEvent):
        step(customer, bought(2), Where("purchases", 99))
    assert customer.spent == {"EUR": 2**63 - 1}
    assert decode_state(encode_state(customer)) == customer


def test_a_refund_is_no_occasion_and_counts_apart() -> None:
    customer, _ = replay([bought(1), bought(2, day=3, amount="-4.00", refund_of="o-1")])
    assert (customer.purchases, customer.refunds) == (1, 1)
    assert (customer.spent, customer.refunded) == ({"EUR": 100_000}, {"EUR": 40_000})
    assert repeat_occasions(customer) == 0


OCCASIONS = {
    "one purchase is no repeat": ([0], 0, 0),
    "two on one day are one occasion": ([0, 0.5], 0, 0),
    "the order of arrival does not matter": ([40, 0, 12], 2, 40),
    "each further day counts once": ([0, 1, 1.2, 8], 2, 8),
}


@pytest.mark.parametrize(("days", "x", "t_x"), OCCASIONS.values(), ids=OCCASIONS)
def test_occasions(days: list[float], x: int, t_x: int) -> None:
    customer, _ = replay([bought(number, day=day) for number, day in enumerate(days)])
    assert (repeat_occasions(customer), recency_days(customer)) == (x, t_x)


def test_an_obligated_purchase_is_no_evidence_of_repurchase() -> None:
    customer, _ = replay([bought(1), bought(2, day=30, obligated=True)])
    assert customer.obligated == 1
    assert repeat_occasions(customer) == 0


def test_the_next_occasion_after_a_day_is_found() -> None:
    customer, _ = replay([bought(1, day=2), bought(2, day=9)])
    first = customer.occasions_from
    assert [occasion_after(customer, first + ahead) for ahead in (-5, 0, 6, 7)] == [first, first + 7, first + 7, None]


def test_the_state_stays_bounded_under_a_hot_customer() -> None:
    events: list[Event] = [bought(n, day=n % 300, lines=[Line(category=f"c{n}")]) for n in range(1_500)]
    events += [contacted(n, day=n / 10, issue=f"i{n}") for n in range(300)]
    customer, _ = replay(events)
    assert len(customer.recent) // MARK_BYTES < RECENT_IDS
    assert (len(customer.contacts), len(customer.categories)) == (
        CONTACTS_KEPT,
        CATEGORIES_KEPT,
    )
    assert customer.purchases == 1_500
    assert len(encode_state(customer)) < 20_000


def test_a_prospect_has_no_alert_and_gets_it_when_the_first_purchase_arrives_late() -> None:
    problems: list[Event] = [contacted(n, day=5 + n, transfers=3, kind="cancellation") for n in range(3)]
    prospect, steps = replay(problems)
    assert prospect.is_prospect
    assert not any(result.alerts for result in steps)
    _, steps = replay([*problems, bought(1, day=0)])
    assert [alert.transition for alert in steps[-1].alerts] == ["raised"]


STORIES: dict[str, tuple[list[Event], list[str]]] = {
    "a solved question raises nothing": (
        [
            bought(1),
            contacted(1, day=3, kind="question"),
            contacted(1, day=3.1, stage="resolved", opened_at=START + timedelta(days=3)),
        ],
        [],
    ),
    "three contacts about one open issue raise it": (
        [bought(1), *(contacted(n, day=3 + n) for n in range(3))],
        ["raised", "escalated"],
    ),
    "worse makes it escalate, buying again resolves it": (
        [
            bought(1),
            *(contacted(n, day=3 + n) for n in range(3)),
            contacted(3, day=7, transfers=3),
            contacted(3, day=8, stage="resolved", opened_at=START + timedelta(days=7)),
            bought(2, day=40),
        ],
        ["raised", "escalated", "escalated", "eased", "resolved"],
    ),
    "a cancellation request raises it at once": ([bought(1), contacted(1, day=2, kind="cancellation")], ["raised"]),
}


@pytest.mark.parametrize(("events", "transitions"), STORIES.values(), ids=STORIES)
def test_stories(events: list[Event], transitions: list[str]) -> None:
    _, steps = replay(events)
    assert [alert.transition for result in steps for alert in result.alerts] == transitions


def test_the_contributions_of_an_alert_add_up_to_its_risk() -> None:
    _, steps = replay([bought(1), *(contacted(n, day=3 + n, transfers=2) for n in range(4))])
    for alert in (alert for result in steps for alert in result.alerts):
        logit = sum(term.logit for term in alert.contributions)
        assert alert.churn_risk_0_1 == pytest.approx(1 / (1 + 2.718281828459045**-logit), abs=1e-5)
        assert alert.churn_risk_0_1 > alert.churn_risk_before_0_1


def test_a_recovery_offsets_less_than_the_failure_added() -> None:
    prior = PRIORS.named()
    assert -prior["recovered"] < prior["unresolved"]
    assert prior["contact"] + prior["recovered"] > 0


@settings(max_examples=examples(1_000), deadline=None)
@given(histories)
def test_looking_only_at_the_issues_an_event_can_change_finds_what_looking_at_all_finds(events: list[Event]) -> None:
    """Wherever the shortcut leaves an issue out, a full look right after finds nothing new."""
    in_order = sorted(events, key=lambda event: event.occurred_at)
    for result in (*replay(events)[1], *replay(in_order)[1]):
        again = deepcopy(result.customer)
        assert not reassess(again, "again")
        assert again.alerts == result.customer.alerts


def test_a_purchase_long_after_everything_leaves_issues_alone_from_which_the_customer_had_returned() -> None:
    before, _ = replay([bought(1), contacted(1, day=3), bought(2, day=10)])
    bought_again = bought(3, day=400)
    after = step(before, bought_again, Where("purchases", 99)).customer
    assert affected(before, after, bought_again, milliseconds(bought_again.occurred_at)) is None


def test_bytes_that_look_like_a_mark_across_two_others_are_none() -> None:
    marked = b"12345678"
    across = b"0000" + marked + b"9999"
    assert not is_recent(marked, across)
    assert is_recent(marked, across + marked)
    assert not is_recent(marked, b"")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_alert_that_is_held_out_says_so_and_asks_nobody_to_act(share: float) -> None:
    policy = replace(PRIORS, holdout=share)
    customer = step(Customer(customer_id=CUSTOMER), bought(1), Where("purchases", 0)).customer
    (alert,) = step(customer, contacted(2, day=1, kind="cancellation"), Where("service-contacts", 0), policy).alerts
    assert alert.held_out is bool(share)
    assert (alert.recommended_action == LEFT_ALONE) is bool(share)


@settings(max_examples=examples(2_000), deadline=None)
@given(st.floats(allow_nan=False) | st.integers(-(10**13), 10**13).map(lambda halves: halves / 2e6))
def test_rounding_fast_is_rounding(value: float) -> None:
    assert rounded(value).hex() == round(value, 6).hex()
