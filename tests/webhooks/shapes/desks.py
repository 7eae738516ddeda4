"""Jira and Zendesk as far as a delivery meets them: they keep issues, check the documented formats, and let us in."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.webhooks.formats import JIRA_CREATE, JIRA_EDIT, JIRA_MOVE, ZENDESK, problems
from tests.webhooks.receivers import Request

JSON = "application/json"


def basic(text: str) -> str:
    """The header of HTTP basic authentication."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def refuses(request: Request, schema: dict[str, Any]) -> web.Response | None:
    """400 with what is wrong with a request, as their APIs answer."""
    wrong = problems(schema, json.loads(request.body))
    if request.headers.get("Content-Type") != JSON:
        wrong.append("not JSON")
    return web.json_response({"errors": wrong}, status=400) if wrong else None


@dataclass
class Jira:
    """A site of Jira with one project and a workflow of three statuses."""

    category: dict[str, str] = field(default_factory=lambda: {"11": "new", "21": "indeterminate", "31": "done"})
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    """Answers that are lost once each, by method: the site did what was asked."""

    def answer(self, request: Request) -> web.Response:
        """Answer a request."""
        assert request.headers["Authorization"] == basic("desk@example.com:jira-token")
        answer = self._answer(request)
        if request.method in self.lost and answer.status < 300:
            self.lost.remove(request.method)
            return web.Response(status=503)
        return answer

    def _answer(self, request: Request) -> web.Response:
        parts = request.path.removeprefix("/rest/api/3/").split("/")
        match (request.method, parts):
            case ("GET", ["search", "jql"]):
                return self._search(request.query)
            case ("POST", ["issue"]):
                return refuses(request, JIRA_CREATE) or self._create(json.loads(request.body)["fields"])
            case ("PUT", ["issue", key]):
                return refuses(request, JIRA_EDIT) or self._edit(self.issues[key], json.loads(request.body)["update"])
            case ("GET", ["issue", _, "transitions"]):
                moves = [{"id": number, "name": "x", "to": status(kind)} for number, kind in self.category.items()]
                return web.json_response({"expand": "transitions", "transitions": moves})
            case ("POST", ["issue", key, "transitions"]):
                return refuses(request, JIRA_MOVE) or self._move(self.issues[key], json.loads(request.body))
        return web.Response(status=404)

    def _search(self, query: dict[str, str]) -> web.Response:
        labels = [word.strip('"') for word in query["jql"].split(" ") if word.startswith('"loyalty-')]
        assert query["jql"].startswith('project = "CARE" AND labels = ')
        found = [
            {"id": "1", "key": key, "fields": {name: issue[name] for name in query["fields"].split(",")}}
            for key, issue in self.issues.items()
            if set(labels) <= set(issue["labels"])
        ]
        return web.json_response({"issues": found[: int(query["maxResults"])], "isLast": True})

    def _create(self, fields: dict[str, Any]) -> web.Response:
        key = f"CARE-{len(self.issues) + 1}"
        self.issues[key] = {**fields, "status": status("new"), "comments": [], "moves": []}
        return web.json_response({"id": "1", "key": key}, status=201)

    def _edit(self, issue: dict[str, Any], update: dict[str, Any]) -> web.Response:
        issue["comments"] += [change["add"]["body"] for change in update.get("comment", [])]
        issue["summary"] = update["summary"][0]["set"]
        for change in update.get("labels", []):
            issue["labels"] = [label for label in issue["labels"] if label != change.get("remove")]
            issue["labels"] += [change["add"]] if "add" in change else []
        return web.Response(status=204)

    def _move(self, issue: dict[str, Any], body: dict[str, Any]) -> web.Response:
        issue["status"] = status(self.category[body["transition"]["id"]])
        issue["moves"].append(body["transition"]["id"])
        return web.Response(status=204)


def status(category: str) -> dict[str, Any]:
    """A status as Jira shows it."""
    return {"name": category.title(), "statusCategory": {"id": 1, "key": category, "name": category.title()}}


@dataclass
class Zendesk:
    """An account of Zendesk that remembers idempotency keys and refuses updates of what has changed meanwhile."""

    tickets: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    updates: int = 0
    lost: list[str] = field(default_factory=list)
    meddling: bool = False
    """Whether an agent changes every ticket as soon as it was read."""

    def answer(self, request: Request) -> web.Response:
        """Answer a request."""
        assert request.headers["Authorization"] == basic("desk@example.com/token:zendesk-token")
        answer = self._answer(request)
        if request.method in self.lost and answer.status < 300:
            self.lost.remove(request.method)
            return web.Response(status=503)
        return answer

    def _answer(self, request: Request) -> web.Response:
        parts = request.path.removeprefix("/api/v2/").removesuffix(".json").split("/")
        match (request.method, parts):
            case ("GET", ["tickets"]):
                found = [ticket for ticket in self.tickets if ticket["external_id"] == request.query["external_id"]]
                answer = web.json_response({"tickets": found, "count": len(found), "next_page": None})
                for ticket in found if self.meddling else []:
                    ticket["updated_at"] = self._now()
                return answer
            case ("POST", ["tickets"]):
                key = request.headers["Idempotency-Key"]
                return refuses(request, ZENDESK) or self._create(json.loads(request.body)["ticket"], key)
            case ("PUT", ["tickets", number]):
                ticket = self.tickets[int(number) - 1]
                return refuses(request, ZENDESK) or self._update(ticket, json.loads(request.body)["ticket"])
        return web.Response(status=404)

    def _now(self) -> str:
        self.updates += 1
        return f"2026-01-06T00:00:{self.updates:02}Z"

    def _create(self, ticket: dict[str, Any], key: str) -> web.Response:
        if key not in self.keys:
            notes = [ticket.pop("comment")]
            made = {**ticket, "id": len(self.tickets) + 1, "status": "open", "notes": notes, "updated_at": self._now()}
            self.tickets.append(made)
            self.keys[key] = made
        return web.json_response({"ticket": self.keys[key]}, status=201)

    def _update(self, ticket: dict[str, Any], change: dict[str, Any]) -> web.Response:
        if ticket["status"] == "closed":
            return web.json_response({"error": "RecordInvalid"}, status=422)
        if change.pop("safe_update") and change.pop("updated_stamp") != ticket["updated_at"]:
            return web.json_response({"error": "UpdateConflict"}, status=409)
        ticket["notes"].append(change.pop("comment"))
        ticket.update(change, updated_at=self._now())
        return web.json_response({"ticket": ticket})
