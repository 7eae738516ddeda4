"""What goes into a shape and what comes out of it."""

import base64
from collections.abc import Generator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import LoyaltyError
from pipeline.webhooks.endpoints import Endpoint


class Delivery(Struct, frozen=True, kw_only=True):
    """One message for one endpoint."""

    message_id: str
    """The same for every attempt and endpoint."""
    sequence: int
    """The place of the message among those about its alert, from 1."""
    alert: ChurnAlert


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request; the same delivery, endpoint and answers give the same."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        """What may be read in a log: the URL, the headers and the body may hold secrets."""
        return f"Outgoing({self.method}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich."""
        return [("method", self.method), ("bytes", len(self.body))]


class Unintelligible(LoyaltyError):
    """A receiver answered something its documentation does not have."""


Conversation = Generator[Outgoing, bytes, None]
"""The requests of a delivery, each made from the answers to those before it."""


def request(
    endpoint: Endpoint,
    content: Mapping[str, Any] | None,
    *,
    method: str = "POST",
    url: str = "",
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Outgoing:
    """A request to an endpoint with its own headers; ``content`` becomes JSON, ``None`` no body at all."""
    own = {} if content is None else {"Content-Type": content_type}
    body = b"" if content is None else msgspec.json.encode(content)
    return Outgoing(
        method=method, url=url or endpoint.url, headers={**endpoint.headers, **own, **(headers or {})}, body=body
    )


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication (RFC 7617)."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def cut(text: str, most: int) -> str:
    """A text of at most so many characters; one that is cut says so by an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
