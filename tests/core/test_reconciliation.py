"""What was told ahead of the state: a replay is silent, and an alert of another order is withdrawn."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contract.events import Event
from pipeline.core.fold import Where, step
from pipeline.core.reconciliation import AlertReconciler, reconciled
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer
from tests.core.histories import CUSTOMER, TOPIC_OF, histories, replay
from tests.examples import examples

KEY = CUSTOMER.encode()
Said = tuple[ChurnAlert, dict[str, int]]
"""A message, and what was applied when it was told."""
Placed = tuple[str, int, Event]
"""An event at its place in the log."""


def placed(events: list[Event]) -> list[Placed]:
    """Every event at the next offset of its topic."""
    offsets = dict.fromkeys(TOPIC_OF.values(), 0)
    found = []
    for event in events:
        topic = TOPIC_OF[next(kind for kind in TOPIC_OF if isinstance(event, kind))]
        found.append((topic, offsets[topic], event))
        offsets[topic] += 1
    return found


def interleaved(log: list[Placed], data: st.DataObject) -> list[Placed]:
    """Another order in which a worker may read the same log: topics interleave, a topic keeps its order."""
    queues = {topic: [entry for entry in log if entry[0] == topic] for topic in TOPIC_OF.values()}
    found = []
    while left := [topic for topic, queue in queues.items() if queue]:
        found.append(queues[data.draw(st.sampled_from(left))].pop(0))
    return found


def last_said(log: list[Said]) -> dict[str, list[object]]:
    """What every alert that was not taken back says in the end."""
    last = {alert.alert_id: alert for alert, _ in log}
    hidden = ("transition", "caused_by_event")
    return {
        identity: [getattr(alert, name) for name in alert.__struct_fields__ if name not in hidden]
        for identity, alert in last.items()
        if alert.status != "withdrawn"
    }


def fold_again(told: AlertReconciler, customer: Customer, log: list[Placed], said: list[Said]) -> Customer:
    """What a worker does: hold back, fold, settle when everything was folded again that had led to what was told."""
    processed = dict(customer.applied)
    for topic, offset, event in log:
        before, result = customer, step(customer, event, Where(topic, offset))
        customer = result.customer
        if result.alerts and not told.holds(KEY, before.alerts):
            said.extend((alert, customer.applied) for alert in result.alerts)
        processed[topic] = offset
        for key in told.due(processed):
            settled, news = told.settle(key, customer)
            assert settled is not None
            customer = settled
            said.extend((alert, customer.applied) for alert in news)
    return customer


@settings(max_examples=examples(300), deadline=None)
@given(histories, st.data())
def test_a_crash_after_alerts_were_told_ends_as_if_there_was_none(events: list[Event], data: st.DataObject) -> None:
    """The state survives up to one event, alerts up to a later one; the rest is read in another order."""
    log = placed(events)
    durable = data.draw(st.integers(0, len(log)))
    told_until = data.draw(st.integers(durable, len(log)))
    said: list[Said] = []
    survives = fold_again(AlertReconciler(), Customer(customer_id=CUSTOMER), log[:durable], said)
    settled_until = len(said)
    fold_again(AlertReconciler(), survives, log[durable:told_until], said)
    told = AlertReconciler()
    for alert, applied in said[settled_until:]:
        told.note(alert, applied, survives)
    fold_again(told, survives, interleaved(log[durable:], data), said)
    reference: list[Said] = [(alert, {}) for result in replay(events)[1] for alert in result.alerts]
    assert last_said(said) == last_said(reference)


@settings(max_examples=examples(200), deadline=None)
@given(histories, st.data())
def test_a_replay_from_the_beginning_tells_nobody_anything(events: list[Event], data: st.DataObject) -> None:
    log = placed(events)
    said: list[Said] = []
    before = fold_again(AlertReconciler(), Customer(customer_id=CUSTOMER), log, said)
    told = AlertReconciler(until=before.applied)
    for alert, applied in said:
        told.note(alert, applied, None)
    again: list[Said] = []
    after = fold_again(told, Customer(customer_id=CUSTOMER), interleaved(log, data), again)
    assert not again
    assert after.alerts == before.alerts


@settings(max_examples=examples(100), deadline=None)
@given(histories)
def test_a_customer_about_whom_the_desk_knows_everything_has_no_news(events: list[Event]) -> None:
    customer, steps = replay(events)
    last = {alert.alert_id: alert for result in steps for alert in result.alerts}
    if last:
        after, news = reconciled(customer, [], last)
        assert not news
        assert after.alerts == customer.alerts


def test_what_rests_on_records_that_are_gone_is_let_go() -> None:
    told = AlertReconciler()
    _, steps = replay([])
    assert not steps
    assert not told
    assert told.due({}) == []
