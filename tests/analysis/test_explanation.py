"""Why a risk is what it is: from the events alone, complete, at any moment, in words."""

import json
from datetime import UTC, datetime, timedelta
from math import isclose, log
from typing import NamedTuple

import orjson
import pytest

from pipeline.analysis.explanation import CustomerEvents, RiskExplanation, _event, explained
from pipeline.cli.printing.explanation import _lines
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event, SurveyResponse
from pipeline.core.fold import Where, step
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.state.customer import Customer
from pipeline.errors import NotFound
from pipeline.simulate.population import simulated
from pipeline.simulate.send import encode
from pipeline.topics import INPUTS

DECODERS = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def lives() -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for topic, event in simulated(400, 500, seed=3):
        decoded = DECODERS[topic](encode(event), LATER).event
        found.setdefault(decoded.customer_id, []).append(decoded)
    return found


LIVES = lives()
TROUBLED = [name for name, events in LIVES.items() if any(isinstance(e, SurveyResponse) for e in events)]


def explanation(name: str, at: datetime | None = None) -> RiskExplanation:
    events = sorted(LIVES[name], key=lambda e: (e.occurred_at, e.event_id))
    moment = AnswerMoment(at or events[-1].occurred_at, "asked for")
    return explained(CustomerEvents(events, True), name, moment, PRIORS)


@pytest.mark.parametrize("name", TROUBLED)
def test_the_factors_of_every_issue_add_up_to_its_risk_and_name_their_events(name: str) -> None:
    found = explanation(name)
    known = {event.event_id for event in LIVES[name]}
    assert found.issues
    for issue in found.issues:
        logit = log(issue.churn_risk_0_1 / (1 - issue.churn_risk_0_1))
        assert isclose(sum(factor.logit for factor in issue.factors), logit, abs_tol=1e-9)
        for factor in issue.factors:
            assert set(factor.event_ids) <= known
            assert factor.event_ids or factor.term == "intercept" or not factor.value
            assert (factor.risk_without < issue.churn_risk_0_1) == (factor.logit > 0)


@pytest.mark.parametrize("name", TROUBLED[:20])
def test_at_every_moment_it_says_what_the_alert_said_then(name: str) -> None:
    customer, compared = Customer(customer_id=name), 0
    ordered = sorted(LIVES[name], key=lambda e: (e.occurred_at, e.event_id))
    for number, event in enumerate(ordered):
        done = step(customer, event, Where("log", number))
        customer = done.customer
        if event.occurred_at in [later.occurred_at for later in ordered[number + 1 :]]:
            continue  # more happened at that moment
        issues = {i.issue_id: i for i in explanation(name, event.occurred_at).issues}
        for alert in done.alerts:
            if alert.occurred_at == event.occurred_at:  # a purchase counts from the beginning of its day
                assert round(issues[alert.issue_id].churn_risk_0_1, 6) == alert.churn_risk_0_1
                compared += 1
    assert compared or not customer.alerts


def test_before_anything_had_happened_there_is_nothing_to_explain() -> None:
    first = min(event.occurred_at for event in LIVES[TROUBLED[0]])
    with pytest.raises(NotFound, match="nothing had happened by"):
        explanation(TROUBLED[0], first - timedelta(seconds=1))


class Logged(NamedTuple):
    """A record of the log, as far as it is asked for."""

    data: bytes

    def value(self) -> bytes:
        return self.data

    def timestamp(self) -> tuple[int, int]:
        return 0, 1_790_000_000_000


def test_an_event_is_found_however_its_customer_is_written_and_nobody_elses_is() -> None:
    name, event = "Jürgen", {"event_id": "1", "occurred_at": "2026-03-01T10:00:00Z", "order_id": "1",
                             "amount": "1", "currency": "EUR"}  # fmt: skip
    for text in (json.dumps, orjson.dumps):
        written = text(event | {"customer_id": name})
        data = written if isinstance(written, bytes) else written.encode()
        found = _event(Logged(data), DECODERS["purchases"], name)
        assert found is not None
        assert found.event_id == "1"
        assert _event(Logged(data), DECODERS["purchases"], "Jürge") is None


def test_what_a_person_reads() -> None:
    found = explanation(TROUBLED[0])
    text = "\n".join(_lines(found))
    assert f"Of 100 customers like this about {found.issues[0].churn_risk_0_1 * 100:.0f} would leave" in text
    for word in ("logit", "coefficient ", "sigmoid", "regress"):
        assert word not in text


def test_long_after_the_contact_it_says_how_much_still_counts() -> None:
    name = TROUBLED[0]
    last = max(event.occurred_at for event in LIVES[name])
    assert any("of its full weight" in line for line in _lines(explanation(name, last + timedelta(days=20))))
    assert any("nothing of it counts any more" in line for line in _lines(explanation(name, last + timedelta(300))))
