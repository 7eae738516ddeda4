"""PagerDuty's Events API v2: an alert is an alert of theirs under its id, the ``dedup_key``.

Everything about an open alert is ``trigger``: the first opens theirs, later ones are added to it, and one after its end
opens a new incident. Every end is ``resolve``, which is dropped where nothing is open. ``acknowledge`` means that
somebody works on it; no message of ours says that.

Source: https://developer.pagerduty.com/docs/send-alert-event (PagerDuty/developer-docs,
docs/events-API-v2/02-Trigger-Events.md): a summary of at most 1,024 characters, a key of at most 255.
"""

from typing import Final

from pipeline.core.state.customer import Severity
from pipeline.webhooks import texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, cut, request

SEVERITIES: Final[dict[Severity, str]] = {"critical": "critical", "high": "error", "medium": "warning"}
MOST_SUMMARY: Final = 1024


def pagerduty(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as ``trigger`` or ``resolve``."""
    alert, language = delivery.alert, endpoint.language
    yield request(
        endpoint,
        {
            "routing_key": endpoint.credentials["routing_key"],
            "event_action": "trigger" if alert.status == "open" else "resolve",
            "dedup_key": alert.alert_id,
            "client": "Loyalty Pipeline",
            "payload": {
                "summary": cut(texts.title(alert, language), MOST_SUMMARY),
                "source": "loyalty-pipeline",
                "severity": SEVERITIES[alert.severity],
                "timestamp": alert.occurred_at,
                "component": alert.rule,
                "class": alert.transition,
                "custom_details": {
                    **dict(texts.facts(alert, language)),
                    "reasons": texts.reasons(alert, language),
                    "recommended_action": texts.recommendation(alert, language),
                    "sequence": delivery.sequence,
                },
            },
        },
    )
