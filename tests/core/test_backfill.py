"""Imported history: it counts like every other event, and the desk hears of an issue when something live is said."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract.events import Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.fold import Step
from pipeline.core.state.customer import Customer
from tests.core.histories import CUSTOMER, facts, histories, replay

DAY = datetime(2020, 3, 1, tzinfo=UTC)


def bought(number: int = 0, days: int = -30, backfill: bool = True) -> Purchase:
    return Purchase(event_id=f"p-{number}", customer_id=CUSTOMER, occurred_at=DAY + timedelta(days=days), order_id="o",
                    amount="10", currency="EUR", backfill=backfill)  # fmt: skip


def cancelled(number: int = 0, days: int = 0, backfill: bool = True, **more: Any) -> ServiceContact:
    at = DAY + timedelta(days=days)
    fields: dict[str, Any] = {
        "event_id": f"c-{number}", "contact_id": f"k-{number}", "issue_id": "i-1", "occurred_at": at, "opened_at": at,
    }  # fmt: skip
    return ServiceContact(customer_id=CUSTOMER, stage="opened", channel="phone", kind="cancellation", transfers=3,
                          backfill=backfill, **fields | more)  # fmt: skip


def said(score: int, days: int, backfill: bool = False) -> SurveyResponse:
    return SurveyResponse(event_id="s", customer_id=CUSTOMER, occurred_at=DAY + timedelta(days=days), instrument="nps",
                          score=score, backfill=backfill)  # fmt: skip


def told(steps: list[Step]) -> list[tuple[str, bool]]:
    return [(alert.transition, alert.backfill) for step in steps for alert in step.alerts]


def test_an_imported_issue_is_told_for_the_record_only() -> None:
    customer, steps = replay([bought(), cancelled()])
    assert told(steps) == [("raised", True)]
    assert [alert.status for alert in customer.alerts] == ["open"]


def test_the_same_issue_live_is_told() -> None:
    assert told(replay([bought(), cancelled(backfill=False)])[1]) == [("raised", False)]


def test_a_live_contact_about_an_imported_issue_raises_it_for_the_desk() -> None:
    assert told(replay([bought(), cancelled(), cancelled(1, days=5, backfill=False)])[1]) == [
        ("raised", True), ("raised", False),
    ]  # fmt: skip


def test_a_live_answer_about_an_imported_issue_raises_it_for_the_desk() -> None:
    assert told(replay([bought(), cancelled(), said(0, days=3)])[1])[-1] == ("raised", False)


def test_a_live_stage_of_an_imported_contact_raises_it_for_the_desk() -> None:
    later = cancelled(event_id="c-0b", occurred_at=DAY + timedelta(hours=1), backfill=False)
    assert told(replay([bought(), cancelled(), later])[1])[-1] == ("raised", False)


def test_an_imported_stage_of_a_live_contact_keeps_it_before_the_desk() -> None:
    later = cancelled(event_id="c-0b", occurred_at=DAY + timedelta(hours=1), waiting_seconds=5_000)
    news = told(replay([bought(), cancelled(backfill=False), later])[1])
    assert len(news) > 1
    assert not any(backfill for _, backfill in news)


def test_a_live_purchase_tells_nobody_about_an_imported_issue() -> None:
    news = told(replay([bought(), cancelled(), bought(1, days=40, backfill=False)])[1])
    assert len(news) > 1
    assert all(backfill for _, backfill in news)


def test_imported_purchases_correct_what_the_desk_was_told_about_a_live_issue() -> None:
    news = told(replay([bought(), cancelled(backfill=False), *(bought(n, -30 - n) for n in range(1, 6))])[1])
    assert news[0] == ("raised", False)
    assert not any(backfill for _, backfill in news)


@given(histories, st.randoms())
def test_whether_the_desk_is_told_does_not_depend_on_the_order(events: list[Event], chance: Any) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert facts(replay(events)[0]) == facts(replay(shuffled)[0])


@given(histories)
def test_history_counts_like_every_other_event(events: list[Event]) -> None:
    """But for the mark itself, the state is that of the same events without it."""
    live = [msgspec.structs.replace(event, backfill=False) for event in events]
    assert unmarked(replay(events)[0]) == unmarked(replay(live)[0])


def unmarked(customer: Customer) -> dict[str, object]:
    known = facts(customer)
    known["alerts"] = [(a.alert_id, a.status, a.severity, a.raised_at) for a in customer.alerts]
    known["contacts"] = [msgspec.structs.replace(contact, backfill=False) for contact in customer.contacts]
    known["answers"] = [msgspec.structs.replace(answer, backfill=False) for answer in customer.answers]
    known["latest"] = {k: msgspec.structs.replace(answer, backfill=False) for k, answer in customer.latest.items()}
    return known
