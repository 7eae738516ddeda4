"""Zendesk: a ticket that carries the alert's id as its external id.

The first message about an open alert creates it under an idempotency key. Later ones add an internal note, set priority
and status, and leave a tag, all in one update that Zendesk refuses when the ticket was changed since it was read; a
message whose tag is there says nothing. A closed ticket cannot be changed: an alert that opens again gets a follow-up.

Sources: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/ (external ids, ``safe_update``,
follow-ups), https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.core.state.customer import Severity
from pipeline.webhooks import texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, Outgoing, Unintelligible, basic, cut, request

PRIORITIES: Final[dict[Severity, str]] = {"critical": "urgent", "high": "high", "medium": "normal"}
MOST_SUBJECT: Final = 150


class _Ticket(Struct):
    id: int
    status: str
    updated_at: str
    tags: list[str] = []


class _Found(Struct):
    tickets: list[_Ticket]


def zendesk(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as a ticket or an update of it."""
    is_open = delivery.alert.status == "open"
    found = _read((yield _call(endpoint, "GET", f"tickets.json?external_id={delivery.alert.alert_id}")))
    ticket = max(found, key=lambda ticket: ticket.id, default=None)
    if ticket is None or ticket.status == "closed":
        if is_open and (ticket is None or _tag(delivery) not in ticket.tags):
            yield _create(delivery, endpoint, ticket)
    elif _tag(delivery) not in ticket.tags:
        yield _update(delivery, endpoint, ticket)


def _read(answer: bytes) -> list[_Ticket]:
    try:
        return msgspec.json.decode(answer, type=_Found).tickets
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unintelligible("Zendesk's answer is longer than 16 KiB or not what its documentation says") from None


def _call(
    endpoint: Endpoint, method: str, path: str, ticket: dict[str, Any] | None = None, key: str | None = None
) -> Outgoing:
    headers = basic(f"{endpoint.credentials['user']}/token", endpoint.credentials["token"])
    headers |= {"Accept": "application/json"} | ({"Idempotency-Key": key} if key else {})
    content = None if ticket is None else {"ticket": ticket}
    url = f"{endpoint.url.rstrip('/')}/api/v2/{path}"
    return request(endpoint, content, method=method, url=url, headers=headers)


def _tag(delivery: Delivery) -> str:
    return f"loyalty_message_{delivery.message_id}"


def _note(delivery: Delivery, endpoint: Endpoint) -> dict[str, Any]:
    return {"body": "\n\n".join(texts.paragraphs(delivery.alert, endpoint.language)), "public": False}


def _create(delivery: Delivery, endpoint: Endpoint, closed: _Ticket | None) -> Outgoing:
    alert = delivery.alert
    ticket: dict[str, Any] = {
        "subject": cut(texts.title(alert, endpoint.language), MOST_SUBJECT),
        "comment": _note(delivery, endpoint),
        "external_id": alert.alert_id,
        "priority": PRIORITIES[alert.severity],
        "tags": ["loyalty", _tag(delivery)],
    }
    if closed is not None:
        ticket["via_followup_source_id"] = closed.id
    return _call(endpoint, "POST", "tickets.json", ticket, key=delivery.message_id)


def _update(delivery: Delivery, endpoint: Endpoint, before: _Ticket) -> Outgoing:
    alert = delivery.alert
    ticket: dict[str, Any] = {
        "comment": _note(delivery, endpoint),
        "priority": PRIORITIES[alert.severity],
        "tags": [*before.tags, _tag(delivery)],
        "safe_update": True,
        "updated_stamp": before.updated_at,
    }
    if alert.status != "open":
        ticket["status"] = "solved"
    elif before.status == "solved":
        ticket["status"] = "open"
    return _call(endpoint, "PUT", f"tickets/{before.id}.json", ticket)
