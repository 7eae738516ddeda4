"""Random lives of one customer, for property tests."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from pipeline.core.contract.events import (
    AlertOutcome,
    Binding,
    BindingKind,
    Consent,
    Event,
    Instrument,
    Line,
    Purchase,
    ServiceContact,
    SurveyResponse,
)
from pipeline.core.fold import Step, Where, step
from pipeline.core.risk.alerts import alert_id
from pipeline.core.state.customer import Customer
from pipeline.core.state.marks import Older

START = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMER = "c-1"
TOPIC_OF = {
    Purchase: "purchases",
    ServiceContact: "service-contacts",
    SurveyResponse: "surveys",
    AlertOutcome: "alert-outcomes",
}

KINDS: list[BindingKind] = ["contractual", "technical", "economic"]
CONSENTS: list[Consent | None] = [None, None, "granted", "withdrawn", "existing_customer"]

hours = st.integers(0, 24 * 400).map(lambda h: START + timedelta(hours=h))


days = st.integers(0, 6).map(lambda day: START + timedelta(days=day))
"""So few that moments coincide."""


@st.composite
def bindings(draw: st.DrawFn) -> list[Binding]:
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=2, unique=True))
    return [Binding(kind=kind, ends_at=draw(st.none() | days)) for kind in kinds]


@st.composite
def consents(draw: st.DrawFn) -> dict[str, object]:
    said = draw(st.sampled_from(CONSENTS))
    return {"survey_consent": said, "survey_consent_at": draw(st.none() | days) if said else None}


@st.composite
def purchases(draw: st.DrawFn) -> Purchase:
    refund = draw(st.booleans()) and draw(st.booleans())
    units = draw(st.integers(0, 10**9))
    return Purchase(
        **draw(consents()),  # type: ignore[arg-type]
        event_id="",
        customer_id=CUSTOMER,
        occurred_at=draw(hours),
        order_id="o",
        amount=f"{'-' if refund else ''}{units // 10_000}.{units % 10_000:04d}" if not refund or units else "-1",
        currency=draw(st.sampled_from(["EUR", "USD"])),
        channel=draw(st.sampled_from(["web", "store"])),
        lines=[Line(category=c) for c in draw(st.lists(st.sampled_from("abcdef"), max_size=3))],
        obligated=draw(st.booleans()),
        incentivised=draw(st.booleans()),
        refund_of="o-0" if refund else None,
        bindings=draw(bindings()),
        programme_member=draw(st.sampled_from([None, True, False])),
        referred_by=draw(st.sampled_from([None, "c-2", "c-3"])),
        promised_delivery_at=draw(st.none() | days),
        delivered_at=draw(st.none() | days),
    )


@st.composite
def contacts(draw: st.DrawFn) -> ServiceContact:
    number = draw(st.integers(0, 5))
    opened = START + timedelta(days=13 * number)
    return ServiceContact(
        **draw(consents()),  # type: ignore[arg-type]
        event_id="",
        customer_id=CUSTOMER,
        occurred_at=opened + timedelta(hours=draw(st.integers(0, 300))),
        contact_id=f"k-{number}",
        issue_id=f"i-{number // 2}",
        opened_at=opened,
        stage=draw(st.sampled_from(["opened", "updated", "resolved"])),
        channel=draw(st.sampled_from(["phone", "email"])),
        kind=draw(st.sampled_from(["complaint", "cancellation"])),
        transfers=draw(st.integers(0, 3)),
        waiting_seconds=float(draw(st.integers(0, 4000))),
        information_repeated=draw(st.booleans()),
        promised_callback_at=draw(st.none() | days),
        called_back_at=draw(st.none() | days),
        promised_answer_at=draw(st.none() | days),
        answered_at=draw(st.none() | days),
        backfill=draw(st.booleans()),
    )


@st.composite
def answers(draw: st.DrawFn) -> SurveyResponse:
    choices: list[tuple[Instrument, int]] = [("nps", 10), ("ces2", 7), ("ces1", 5)]
    instrument, high = draw(st.sampled_from(choices))
    return SurveyResponse(
        **draw(consents()),  # type: ignore[arg-type]
        event_id="",
        customer_id=CUSTOMER,
        occurred_at=draw(hours),
        instrument=instrument,
        score=draw(st.integers(1, high)),
        contact_id=draw(st.sampled_from([None, "k-0", "k-1", "k-4"])),
        backfill=draw(st.booleans()),
    )


@st.composite
def outcomes(draw: st.DrawFn) -> AlertOutcome:
    issue = draw(st.sampled_from(["i-0", "i-1", "i-2"]))
    return AlertOutcome(
        **draw(consents()),  # type: ignore[arg-type]
        event_id="",
        customer_id=CUSTOMER,
        occurred_at=draw(hours),
        alert_id=alert_id(CUSTOMER, issue),
        action="called",
        result=draw(st.sampled_from(["retained", "lost", "unreachable"])),
    )


def _with_id(event: Event, number: int) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return type(event)(**(fields | {"event_id": f"e-{number}"}))


histories: st.SearchStrategy[list[Event]] = st.lists(
    purchases() | contacts() | answers() | outcomes(), max_size=14
).map(lambda events: [_with_id(event, number) for number, event in enumerate(events)])


def replay(events: list[Event]) -> tuple[Customer, list[Step]]:
    """The customer after ``events`` as they arrive, each at the next offset of its topic, and every step."""
    customer, steps, offsets, older = Customer(customer_id=CUSTOMER), [], dict.fromkeys(TOPIC_OF.values(), 0), Older()
    for event in events:
        topic = TOPIC_OF[next(kind for kind in TOPIC_OF if isinstance(event, kind))]
        result = step(customer, event, Where(topic, offsets[topic]), older=older)
        offsets[topic] += 1
        customer = result.customer
        steps.append(result)
    return customer, steps


DELIVERY = {"applied", "recent", "moved"}


def facts(customer: Customer) -> dict[str, object]:
    """What is a function of the set of events; delivery left out."""
    return {name: getattr(customer, name) for name in customer.__struct_fields__ if name not in DELIVERY}
