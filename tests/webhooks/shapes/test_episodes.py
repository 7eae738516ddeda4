"""An episode in Jira and Zendesk: one issue, one comment per message, moved as the alert moves."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from pipeline.core.risk.messages import ChurnAlert
from pipeline.webhooks.attempt import Answer, client, verdict
from pipeline.webhooks.delivering import deliver
from pipeline.webhooks.endpoints import Shape
from pipeline.webhooks.shapes import Delivery, Unintelligible, next_request
from tests.webhooks.alerts import NOW, TRANSITIONS, alert_with, delivery_of, endpoint_at
from tests.webhooks.receivers import Receiver, Request, receiver
from tests.webhooks.shapes.desks import Jira, Zendesk, status

RAISED = alert_with(severity="high")
ESCALATED = alert_with(transition="escalated")
EASED = alert_with(transition="eased", severity="medium")
RESOLVED = alert_with(transition="resolved")
REOPENED = alert_with(transition="reopened")
WITHDRAWN = alert_with(transition="withdrawn")
EPISODE = [RAISED, ESCALATED, EASED, RESOLVED, REOPENED, WITHDRAWN]


def deliveries(*alerts: ChurnAlert) -> list[Delivery]:
    return [delivery_of(alert, sequence) for sequence, alert in enumerate(alerts, 1)]


def told(desk: Jira | Zendesk, *told_of: Delivery) -> tuple[list[Answer | None], Receiver]:
    """Deliver messages one after the other."""
    shape: Shape = "jira" if isinstance(desk, Jira) else "zendesk"

    async def run() -> tuple[list[Answer | None], Receiver]:
        async with receiver(desk.answer) as kept, client(allow_private=True) as session:
            endpoint = endpoint_at(kept.url, shape)
            return [await deliver(session, delivery, endpoint, lambda: NOW, 20) for delivery in told_of], kept

    return asyncio.run(run())


def verdicts(answers: list[Answer | None]) -> list[str | None]:
    return [None if answer is None else verdict(answer) for answer in answers]


def test_an_episode_in_jira_is_one_issue_that_is_commented_on_and_moved() -> None:
    jira = Jira()
    answers, _ = told(jira, *deliveries(*EPISODE))
    assert set(verdicts(answers)) == {"delivered"}
    [issue] = jira.issues.values()
    assert issue["moves"] == ["31", "11", "31"], "resolved, reopened, withdrawn"
    assert issue["status"]["statusCategory"]["key"] == "done"
    assert len(issue["comments"]) == len(EPISODE) - 1
    assert issue["summary"].startswith("Withdrawn: customer c-1")
    assert {"loyalty", f"loyalty-{RAISED.alert_id}", "loyalty-critical"} <= set(issue["labels"])
    assert not {"loyalty-high", "loyalty-medium"} & set(issue["labels"])


@pytest.mark.parametrize("lost", ["GET", "POST", "PUT"])
def test_a_message_that_comes_again_after_its_answer_was_lost_is_in_jira_once(lost: str) -> None:
    jira = Jira(lost=[lost] * 2)
    for delivery in deliveries(*EPISODE):
        while verdicts(told(jira, delivery)[0]) != ["delivered"]:
            continue
    [issue] = jira.issues.values()
    assert (len(issue["comments"]), issue["moves"]) == (len(EPISODE) - 1, ["31", "11", "31"])
    assert jira.lost == []


def test_messages_that_come_twice_change_nothing_in_jira() -> None:
    jira = Jira()
    told(jira, *deliveries(*EPISODE[:4]))
    before = json.dumps(jira.issues)
    told(jira, deliveries(*EPISODE[:4])[3])
    assert json.dumps(jira.issues) == before


@pytest.mark.parametrize("desk", [Jira, Zendesk])
@pytest.mark.parametrize("transition", [t for t in TRANSITIONS if alert_with(transition=t).status != "open"])
def test_an_end_of_what_was_never_told_says_nothing(desk: type[Jira | Zendesk], transition: Any) -> None:
    made = desk()
    answers, kept = told(made, *deliveries(alert_with(transition=transition)))
    assert [request.method for request in kept.requests] == ["GET"]
    assert verdicts(answers) == ["delivered"]


def test_a_jira_workflow_without_a_way_is_commented_on_all_the_same() -> None:
    jira = Jira(category={"11": "new"})
    answers, _ = told(jira, *deliveries(RAISED, RESOLVED))
    [issue] = jira.issues.values()
    assert (issue["moves"], len(issue["comments"])) == ([], 1)
    assert verdicts(answers) == ["delivered"] * 2


def test_an_issue_that_a_person_closed_in_jira_is_opened_again_by_news() -> None:
    jira = Jira()
    told(jira, *deliveries(RAISED))
    jira.issues["CARE-1"]["status"] = status("done")
    told(jira, deliveries(RAISED, ESCALATED)[1])
    assert jira.issues["CARE-1"]["moves"] == ["11"]


def test_an_episode_in_zendesk_is_one_ticket_with_notes_for_agents() -> None:
    zendesk = Zendesk()
    answers, _ = told(zendesk, *deliveries(*EPISODE))
    assert set(verdicts(answers)) == {"delivered"}
    [ticket] = zendesk.tickets
    assert (ticket["status"], ticket["priority"], ticket["external_id"]) == ("solved", "urgent", RAISED.alert_id)
    assert [note["public"] for note in ticket["notes"]] == [False] * len(EPISODE)
    assert [note["body"].partition(":")[0] for note in ticket["notes"]] == [
        "New", "Escalated", "Eased", "Resolved", "Reopened", "Withdrawn",
    ]  # fmt: skip


def test_priority_and_status_of_a_ticket_follow_the_alert() -> None:
    zendesk, seen = Zendesk(), []
    for delivery in deliveries(*EPISODE):
        told(zendesk, delivery)
        seen.append((zendesk.tickets[0]["status"], zendesk.tickets[0]["priority"]))
    assert seen == [
        ("open", "high"), ("open", "urgent"), ("open", "normal"), ("solved", "urgent"), ("open", "urgent"),
        ("solved", "urgent"),
    ]  # fmt: skip


@pytest.mark.parametrize("lost", ["GET", "POST", "PUT"])
def test_a_message_that_comes_again_after_its_answer_was_lost_is_in_zendesk_once(lost: str) -> None:
    zendesk = Zendesk(lost=[lost])
    for delivery in deliveries(*EPISODE):
        while verdicts(told(zendesk, delivery)[0]) != ["delivered"]:
            continue
    [ticket] = zendesk.tickets
    assert len(ticket["notes"]) == len(EPISODE)
    assert zendesk.lost == []


def test_a_create_before_zendesk_lists_the_ticket_is_made_once_by_its_key() -> None:
    zendesk = Zendesk()
    told(zendesk, *deliveries(RAISED))
    hidden, zendesk.tickets = zendesk.tickets, []
    told(zendesk, *deliveries(RAISED))
    assert (zendesk.tickets, len(hidden)) == ([], 1)


def test_an_update_of_a_ticket_that_an_agent_changed_meanwhile_is_refused_and_tried_again() -> None:
    zendesk = Zendesk()
    raised, escalated = deliveries(RAISED, ESCALATED)
    told(zendesk, raised)
    zendesk.meddling = True
    answers, _ = told(zendesk, escalated)
    assert verdicts(answers) == ["failed"]
    assert len(zendesk.tickets[0]["notes"]) == 1
    zendesk.meddling = False
    zendesk.tickets[0]["tags"].append("vip")
    assert verdicts(told(zendesk, escalated)[0]) == ["delivered"]
    assert "vip" in zendesk.tickets[0]["tags"]


def test_an_alert_that_opens_again_after_its_ticket_was_closed_gets_a_follow_up() -> None:
    zendesk = Zendesk()
    told(zendesk, *deliveries(RAISED, RESOLVED))
    zendesk.tickets[0]["status"] = "closed"
    _, _, reopened, withdrawn = deliveries(RAISED, RESOLVED, REOPENED, WITHDRAWN)
    told(zendesk, reopened, reopened, withdrawn)
    assert [(ticket.get("via_followup_source_id"), ticket["status"]) for ticket in zendesk.tickets] == [
        (None, "closed"), (1, "solved"),
    ]  # fmt: skip


def test_german_desks_read_german() -> None:
    endpoint = endpoint_at("https://desk.example/", "zendesk", "de")
    outgoing = next_request(deliveries(RAISED)[0], endpoint, [b'{"tickets":[]}'])
    assert outgoing is not None
    assert json.loads(outgoing.body)["ticket"]["subject"].startswith("Neu: Kundennummer c-1")


@pytest.mark.parametrize("shape", ["jira", "zendesk"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"issues":[{}],"tickets":[{}]}', b"\xff", b'{"issues":1}'])
def test_an_answer_that_is_not_as_documented_is_a_failure_of_the_protocol(shape: Any, body: bytes) -> None:
    async def run() -> tuple[Answer | None, int]:
        async with (
            receiver(lambda request: web.Response(body=body)) as kept,
            client(allow_private=True) as session,
        ):
            endpoint = endpoint_at(kept.url, shape)
            return await deliver(session, delivery_of(RAISED), endpoint, lambda: NOW, 20), len(kept.requests)

    answer, requests = asyncio.run(run())
    assert answer is not None
    assert (answer.error, verdict(answer), requests) == ("protocol", "failed", 1)
    with pytest.raises(Unintelligible):
        next_request(delivery_of(RAISED), endpoint_at("https://desk.example/", shape), [body])


@pytest.mark.parametrize("desk", [Jira, Zendesk])
def test_a_desk_that_refuses_is_asked_no_further(desk: type[Jira | Zendesk]) -> None:
    shape: Any = desk.__name__.lower()

    def answer(request: Request) -> web.Response:
        return web.Response(status=401)

    async def run() -> tuple[Answer | None, Receiver]:
        async with receiver(answer) as kept, client(allow_private=True) as session:
            return await deliver(session, delivery_of(RAISED), endpoint_at(kept.url, shape), lambda: NOW, 20), kept

    refused, kept = asyncio.run(run())
    assert verdicts([refused]) == ["failed"]
    assert len(kept.requests) == 1
    assert not [name for name in kept.requests[0].headers if name.lower().startswith("webhook-")]
