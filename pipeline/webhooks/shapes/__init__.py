"""The shapes in which receivers want an alert: each a pure function from message and endpoint to a request.

An alert is an *episode*: it opens, may change, and ends. Each shape maps that to the receiver's own idea of an episode
(an incident, an issue, a ticket) under the alert's id. Where one request is not enough, because the receiver has to be
asked first whether it knows the episode, the function also takes the answers so far, and is still pure.
"""

from collections.abc import Sequence

from msgspec import Struct

from pipeline.core.risk.messages import ChurnAlert
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


def request_of(delivery: Delivery, endpoint: Endpoint) -> Outgoing | None:
    """The first request of a delivery; ``None``: the shape says nothing for this transition."""
    return next_request(delivery, endpoint, ())


def next_request(delivery: Delivery, endpoint: Endpoint, answers: Sequence[bytes]) -> Outgoing | None:
    """The next request of a delivery after those that were answered with 2xx; ``None`` when nothing is left to say.

    All shapes but Jira's and Zendesk's make one request. Those look first whether the receiver knows the alert.
    """
    raise NotImplementedError
