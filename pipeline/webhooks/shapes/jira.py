"""Jira Service Management: an issue that carries the alert's id as a label.

The issue is looked for by that label. The first message about an open alert creates it; later ones comment on it, set
the label of the severity, and move it to a status that is done or is not. A comment and the label of its message are
one edit, so that a message that comes twice is commented on once. An end of which Jira knows no issue says nothing.

Sources: https://developer.atlassian.com/cloud/jira/platform/rest/v3/ (``GET /rest/api/3/search/jql``,
``POST /rest/api/3/issue``, ``PUT /rest/api/3/issue/{key}``, ``GET`` and ``POST /rest/api/3/issue/{key}/transitions``);
https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/ (Atlassian Document Format).

Known weakness: Jira's search may lag a few seconds behind; a create whose answer was lost is then made twice.
"""

from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from pipeline.core.state.customer import Severity
from pipeline.webhooks import texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, Outgoing, Unintelligible, basic, cut, request

MOST_SUMMARY: Final = 255
SEVERITIES: Final[dict[Severity, str]] = {
    "critical": "loyalty-critical",
    "high": "loyalty-high",
    "medium": "loyalty-medium",
}
Answered = TypeVar("Answered", bound=Struct)
DONE: Final = "done"
"""The key of the category that the statuses of finished issues have; a workflow cannot change it."""


class _Category(Struct):
    key: str


class _Status(Struct):
    category: _Category = msgspec.field(name="statusCategory")


class _Fields(Struct):
    status: _Status
    labels: list[str] = []


class _Issue(Struct):
    key: str
    fields: _Fields


class _Found(Struct):
    issues: list[_Issue]


class _Transition(Struct):
    id: str
    to: _Status


class _Transitions(Struct):
    transitions: list[_Transition]


def jira(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as an issue, a comment on it, and a move of it."""
    is_open = delivery.alert.status == "open"
    found = _read((yield _search(delivery, endpoint)), _Found).issues
    if not found:
        if is_open:
            yield _create(delivery, endpoint)
        return
    issue = found[0]
    if _message_label(delivery) not in issue.fields.labels:
        yield _comment(delivery, endpoint, issue)
    if is_open is (issue.fields.status.category.key == DONE):
        path = f"issue/{quote(issue.key, safe='')}/transitions"
        moves = _read((yield _call(endpoint, "GET", path)), _Transitions).transitions
        fitting = [move for move in moves if (move.to.category.key == DONE) is not is_open]
        if fitting:
            yield _call(endpoint, "POST", path, {"transition": {"id": fitting[0].id}})


def _read(answer: bytes, kind: type[Answered]) -> Answered:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unintelligible("Jira's answer is longer than 16 KiB or not what its documentation says") from None


def _call(endpoint: Endpoint, method: str, path: str, content: dict[str, Any] | None = None) -> Outgoing:
    access = basic(endpoint.credentials["user"], endpoint.credentials["token"])
    url = f"{endpoint.url.rstrip('/')}/rest/api/3/{path}"
    return request(endpoint, content, method=method, url=url, headers={**access, "Accept": "application/json"})


def _search(delivery: Delivery, endpoint: Endpoint) -> Outgoing:
    project = endpoint.credentials["project"]
    jql = f'project = "{project}" AND labels = "{_alert_label(delivery)}" ORDER BY created ASC'
    return _call(endpoint, "GET", "search/jql?" + urlencode({"jql": jql, "fields": "status,labels", "maxResults": 1}))


def _alert_label(delivery: Delivery) -> str:
    return f"loyalty-{delivery.alert.alert_id}"


def _message_label(delivery: Delivery) -> str:
    return f"loyalty-message-{delivery.message_id}"


def _create(delivery: Delivery, endpoint: Endpoint) -> Outgoing:
    alert, language = delivery.alert, endpoint.language
    labels = ["loyalty", _alert_label(delivery), _message_label(delivery), SEVERITIES[alert.severity]]
    fields = {
        "project": {"key": endpoint.credentials["project"]},
        "issuetype": {"name": endpoint.credentials.get("issue_type", "Task")},
        "summary": cut(texts.title(alert, language), MOST_SUMMARY),
        "description": document(texts.paragraphs(alert, language)),
        "labels": labels,
    }
    return _call(endpoint, "POST", "issue", {"fields": fields})


def _comment(delivery: Delivery, endpoint: Endpoint, issue: _Issue) -> Outgoing:
    alert, language = delivery.alert, endpoint.language
    past = [label for severity, label in SEVERITIES.items() if severity != alert.severity]
    labels = [{"remove": label} for label in past if label in issue.fields.labels]
    labels += [{"add": SEVERITIES[alert.severity]}, {"add": _message_label(delivery)}]
    comment = [{"add": {"body": document(texts.paragraphs(alert, language))}}]
    summary = [{"set": cut(texts.title(alert, language), MOST_SUMMARY)}]
    update = {"comment": comment, "labels": labels, "summary": summary}
    return _call(endpoint, "PUT", f"issue/{quote(issue.key, safe='')}", {"update": update})


def document(paragraphs: list[str]) -> dict[str, Any]:
    """Paragraphs in the Atlassian Document Format; the texts in it are inert."""
    return {"type": "doc", "version": 1, "content": [_paragraph(text) for text in paragraphs]}


def _paragraph(text: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for line in text.split("\n"):
        content += [{"type": "hardBreak"}] if content else []
        content += [{"type": "text", "text": line}] if line else []
    return {"type": "paragraph", "content": content}
