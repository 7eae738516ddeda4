"""Alerts for the tests, made as the worker makes them: reasons and advice by the core."""

from datetime import UTC, datetime
from typing import get_args

from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.contract.moments import instant
from pipeline.core.risk import alert_text
from pipeline.core.risk.messages import ChurnAlert, Contribution, Transition
from pipeline.core.risk.terms import TERMS
from pipeline.core.state.customer import Severity, Status
from pipeline.webhooks.catalogue import Language
from pipeline.webhooks.endpoints import Endpoint, Shape
from pipeline.webhooks.shapes import Delivery
from pipeline.webhooks.signing import PREFIX, Secret

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
SECRET = Secret(value=PREFIX + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", since=NOW)
"""The example of the specification's libraries."""
STATUS_OF: dict[Transition, Status] = {"resolved": "resolved", "closed": "closed", "withdrawn": "withdrawn"}
TRANSITIONS: tuple[Transition, ...] = get_args(Transition)
CREDENTIALS: dict[Shape, dict[str, str]] = {
    "pagerduty": {"routing_key": "R" * 32},
    "jira": {"user": "desk@example.com", "token": "jira-token", "project": "CARE"},
    "zendesk": {"user": "desk@example.com", "token": "zendesk-token"},
}


def alert_with(
    *terms: tuple[str, float, float],
    transition: Transition = "raised",
    severity: Severity = "critical",
    customer_id: str = "c-1",
) -> ChurnAlert:
    """An alert that rests on these terms: name, value, share of the logit."""
    contributions = [Contribution(*term) for term in terms or (("repeat_contact", 2.0, 1.4), ("unresolved", 1.0, 0.8))]
    status = STATUS_OF.get(transition, "open")
    return ChurnAlert(
        alert_id="06b3a438ccb310e309881192ebefe272",
        customer_id=customer_id,
        issue_id="i-1",
        rule="risk_after_contact",
        rule_version="priors-1",
        transition=transition,
        status=status,
        severity=severity,
        churn_risk_0_1=0.721115,
        churn_risk_before_0_1=0.091123,
        contributions=contributions,
        reasons=alert_text.reasons(contributions, transition),
        recommended_action=alert_text.recommendation(contributions, status),
        history="2026-01-04 phone complaint (unknown), open",
        contact_ids=["k-0", "k-1", "k-2"],
        caused_by_event="k-2-5",
        raised_at=datetime(2026, 1, 5, tzinfo=UTC),
        occurred_at=datetime(2026, 1, 6, tzinfo=UTC),
        synthetic=False,
    )


def delivery_of(alert: ChurnAlert, sequence: int = 1) -> Delivery:
    """A delivery with an id of its own for each sequence."""
    return Delivery(message_id=f"{sequence:032x}", sequence=sequence, alert=alert)


def endpoint_at(url: str, shape: Shape = "standard", language: Language = "en") -> Endpoint:
    """An endpoint with all that its shape needs."""
    return Endpoint(
        id=f"{shape}-desk",
        url=url,
        shape=shape,
        language=language,
        secrets=(SECRET,),
        credentials=CREDENTIALS.get(shape, {}),
        allow_private=True,
        created_at=NOW,
    )


_ids = st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1, max_size=200)
_terms = st.builds(
    Contribution,
    st.sampled_from(("intercept", *TERMS)),
    st.floats(0, 12) | st.integers(0, 12).map(float),
    st.floats(-4, 4),
)


def _bound(term: Contribution) -> Contribution:
    """What binds a customer never raises the risk."""
    return Contribution(term.term, term.value, -abs(term.logit)) if term.term == "contract" else term


_alerts = st.builds(
    ChurnAlert,
    alert_id=st.binary(min_size=16, max_size=16).map(bytes.hex),
    customer_id=_ids,
    issue_id=_ids,
    rule=st.just("risk_after_contact"),
    rule_version=st.just("priors-1"),
    transition=st.sampled_from(TRANSITIONS),
    status=st.just("open"),
    severity=st.sampled_from(get_args(Severity)),
    churn_risk_0_1=st.floats(0, 1),
    churn_risk_before_0_1=st.floats(0, 1),
    contributions=st.lists(_terms.map(_bound), max_size=20, unique_by=lambda term: term.term),
    reasons=st.just([]),
    recommended_action=st.just(""),
    history=st.just(""),
    contact_ids=st.lists(_ids, max_size=32),
    caused_by_event=_ids,
    raised_at=st.integers(0, 2_000_000_000_000).map(instant),
    occurred_at=st.integers(0, 2_000_000_000_000).map(instant),
    synthetic=st.booleans(),
)


def _worded(alert: ChurnAlert) -> ChurnAlert:
    status = STATUS_OF.get(alert.transition, "open")
    return replace(
        alert,
        status=status,
        reasons=alert_text.reasons(alert.contributions, alert.transition),
        recommended_action=alert_text.recommendation(alert.contributions, status),
    )


any_alert = _alerts.map(_worded)
"""Whatever the contract lets an alert be."""
