"""The shapes in which receivers want an alert: each a pure function from message and endpoint to a request.

An alert is an *episode*: it opens, may change, and ends. Each shape maps that to the receiver's own idea of an episode
(an incident, an issue, a ticket) under the alert's id. Where one request is not enough, because the receiver has to be
asked first whether it knows the episode, the function also takes the answers so far, and is still pure.
"""

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.webhooks.endpoints import Endpoint, Shape
from pipeline.webhooks.shapes.alertmanager import alertmanager
from pipeline.webhooks.shapes.jira import jira
from pipeline.webhooks.shapes.pagerduty import pagerduty
from pipeline.webhooks.shapes.requests import Conversation, Delivery, Outgoing, Unintelligible
from pipeline.webhooks.shapes.slack import slack
from pipeline.webhooks.shapes.standard import standard
from pipeline.webhooks.shapes.teams import teams
from pipeline.webhooks.shapes.zendesk import zendesk

SHAPES: Final[dict[Shape, Callable[[Delivery, Endpoint], Conversation]]] = {
    "standard": standard,
    "alertmanager": alertmanager,
    "pagerduty": pagerduty,
    "jira": jira,
    "zendesk": zendesk,
    "slack": slack,
    "teams": teams,
}
UNSIGNED: Final = ("jira", "zendesk")
"""Shapes that let us in by credentials and make several requests: a signature under one id would be of many bodies."""


def request_of(delivery: Delivery, endpoint: Endpoint) -> Outgoing | None:
    """The first request of a delivery; ``None``: the shape says nothing for this transition."""
    return next_request(delivery, endpoint, ())


def next_request(delivery: Delivery, endpoint: Endpoint, answers: Sequence[bytes]) -> Outgoing | None:
    """The next request of a delivery after those that were answered with 2xx; ``None`` when nothing is left to say.

    All shapes but Jira's and Zendesk's make one request. Those look first whether the receiver knows the alert.

    Raises
    ------
    Unintelligible
        An answer is not what the receiver's documentation says.
    """
    conversation = SHAPES[endpoint.shape](delivery, endpoint)
    outgoing = next(conversation, None)
    for answer in answers:
        try:
            outgoing = conversation.send(answer)
        except StopIteration:
            return None
    return outgoing


__all__ = ["SHAPES", "UNSIGNED", "Delivery", "Outgoing", "Unintelligible", "next_request", "request_of"]
