"""Each shape is what its receiver's documentation says, for every alert there can be, in both languages."""

import asyncio
import json
from typing import Any, get_args

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.risk.messages import ChurnAlert
from pipeline.webhooks.attempt import client, verdict
from pipeline.webhooks.catalogue import Language
from pipeline.webhooks.delivering import deliver
from pipeline.webhooks.endpoints import Shape
from pipeline.webhooks.shapes import SHAPES, next_request, request_of
from pipeline.webhooks.shapes.alertmanager import fingerprint
from pipeline.webhooks.signing import verify
from tests.examples import examples
from tests.webhooks.alerts import NOW, TRANSITIONS, alert_with, any_alert, delivery_of, endpoint_at
from tests.webhooks.formats import ALERTMANAGER, CLOUD_EVENT, PAGERDUTY, SLACK, TEAMS, own_schema, problems
from tests.webhooks.receivers import Receiver, receiver

URL = "https://receiver.example/hook"
PUBLISHED: dict[Shape, tuple[dict[str, Any], ...]] = {
    "standard": (CLOUD_EVENT, own_schema()),
    "alertmanager": (ALERTMANAGER,),
    "pagerduty": (PAGERDUTY,),
    "slack": (SLACK,),
    "teams": (TEAMS,),
}
"""The formats of shapes that are one request."""
MOST_BYTES: dict[Shape, int] = {"standard": 20_000, "teams": 28 * 1024, "pagerduty": 512 * 1024}
IDS = "<!channel> & <b>*_~`[x](http://e)"


def body_of(alert: ChurnAlert, shape: Shape, language: Language = "en") -> Any:
    outgoing = request_of(delivery_of(alert), endpoint_at(URL, shape, language))
    assert outgoing is not None
    assert (outgoing.method, outgoing.url) == ("POST", URL)
    return json.loads(outgoing.body)


@pytest.mark.parametrize("shape", PUBLISHED)
@settings(deadline=None, max_examples=examples(60))
@given(alert=any_alert, language=st.sampled_from(get_args(Language)), sequence=st.integers(1, 10**9))
def test_every_alert_is_a_document_of_the_published_format(
    shape: Shape, alert: ChurnAlert, language: Language, sequence: int
) -> None:
    outgoing = request_of(delivery_of(alert, sequence), endpoint_at(URL, shape, language))
    assert outgoing is not None
    document = json.loads(outgoing.body)
    assert [problem for schema in PUBLISHED[shape] for problem in problems(schema, document)] == []
    assert len(outgoing.body) <= MOST_BYTES.get(shape, 40_000)


@pytest.mark.parametrize("shape", PUBLISHED)
def test_the_largest_alert_there_can_be_is_below_the_limits(shape: Shape) -> None:
    """Ids of 200 characters of four bytes, each of them escaped where a format escapes."""
    for char in ("\U0001f600", "&", "\\", '"'):
        long = char * 200
        contacts = [f"{number:02}" + long[2:] for number in range(32)]
        alert = replace(alert_with(customer_id=long), issue_id=long, contact_ids=contacts, caused_by_event=long)
        outgoing = request_of(delivery_of(alert), endpoint_at(URL, shape, "de"))
        assert outgoing is not None
        assert len(outgoing.body) < MOST_BYTES.get(shape, 40_000)
        assert problems(PUBLISHED[shape][0], json.loads(outgoing.body)) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_delivery_and_endpoint_give_the_same_request(shape: Shape) -> None:
    delivery, endpoint = delivery_of(alert_with(), 3), endpoint_at(URL, shape)
    assert request_of(delivery, endpoint) == request_of(delivery, endpoint)
    if shape in PUBLISHED:
        assert next_request(delivery, endpoint, [b"ok"]) is None


@pytest.mark.parametrize("shape", PUBLISHED)
def test_a_receiver_gets_the_published_format_signed_over_http(shape: Shape) -> None:
    async def run() -> tuple[Receiver, Any]:
        async with receiver(lambda request: web.Response(status=202)) as kept, client(allow_private=True) as session:
            endpoint = replace(endpoint_at(kept.url, shape), headers={"X-Team": "care"})
            return kept, await deliver(session, delivery_of(alert_with()), endpoint, lambda: NOW, 10)

    kept, answer = asyncio.run(run())
    assert verdict(answer) == "delivered"
    [request] = kept.requests
    verify(request.headers, request.body, endpoint_at(URL).secrets, NOW)
    assert request.headers["X-Team"] == "care"
    wanted = "application/cloudevents+json" if shape == "standard" else "application/json"
    assert request.headers["Content-Type"] == wanted
    assert problems(PUBLISHED[shape][0], json.loads(request.body)) == []


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_every_transition_is_the_receivers_own_idea_of_the_same_episode(transition: str) -> None:
    alert = alert_with(transition=transition)  # type: ignore[arg-type]
    is_open = alert.status == "open"
    own = body_of(alert, "standard")
    assert (own["type"], own["data"]["status"]) == (f"loyalty.churn_alert.{transition}", alert.status)
    theirs = body_of(alert, "pagerduty")
    assert (theirs["dedup_key"], theirs["event_action"]) == (alert.alert_id, "trigger" if is_open else "resolve")
    [group] = body_of(alert, "alertmanager")["alerts"]
    assert group["status"] == ("firing" if is_open else "resolved")
    assert (group["endsAt"] == "0001-01-01T00:00:00Z") is is_open
    assert group["fingerprint"] == body_of(alert_with(severity="medium"), "alertmanager")["alerts"][0]["fingerprint"]
    for shape in ("slack", "teams"):
        assert "✅" in json.dumps(body_of(alert, "slack"), ensure_ascii=False) or is_open
        assert alert.alert_id in json.dumps(body_of(alert, shape))


def test_severities_are_those_of_pagerduty_and_a_label_of_alertmanager() -> None:
    for severity, theirs in (("critical", "critical"), ("high", "error"), ("medium", "warning")):
        alert = alert_with(severity=severity)  # type: ignore[arg-type]
        assert body_of(alert, "pagerduty")["payload"]["severity"] == theirs
        assert body_of(alert, "alertmanager")["commonLabels"]["severity"] == severity


def test_our_own_shape_orders_the_messages_of_an_alert_twice() -> None:
    endpoint = endpoint_at(URL)
    bodies = [json.loads(request_of(delivery_of(alert_with(), n), endpoint).body) for n in (1, 2, 10, 11)]  # type: ignore[union-attr]
    assert [body["data"]["sequence"] for body in bodies] == [1, 2, 10, 11]
    assert sorted(body["sequence"] for body in bodies) == [body["sequence"] for body in bodies]
    assert {body["subject"] for body in bodies} == {alert_with().alert_id}


def test_our_own_shape_holds_no_free_text() -> None:
    """Neither the history, whose words come from elsewhere, nor anything that is no id, number or sentence of ours."""
    data = body_of(alert_with(), "standard", "de")["data"]
    assert "history" not in data
    assert data["reasons"] == [
        "Innerhalb von 30 Tagen waren dazu 3 Kontakte nötig.",
        "Das Problem ist noch nicht gelöst.",
    ]
    assert data["title"].startswith("Neu: Kundennummer c-1")


def test_markup_in_an_id_is_inert_in_chats() -> None:
    alert = alert_with(customer_id=IDS)
    slack = json.dumps(body_of(alert, "slack"))
    assert "<" not in slack
    assert "mrkdwn" not in slack
    teams = body_of(alert, "teams")
    kinds = {block["type"] for block in teams["attachments"][0]["content"]["body"]}
    assert kinds == {"RichTextBlock"}, "TextBlock and FactSet would read markdown"


def test_the_fingerprint_is_that_of_prometheus() -> None:
    """The known values in prometheus/common, model/signature_test.go."""
    assert fingerprint({}) == f"{14695981039346656037:016x}"
    assert fingerprint({"name": "garland, briggs", "fear": "love is not enough"}) == f"{5799056148416392346:016x}"
