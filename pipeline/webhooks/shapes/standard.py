"""Our own shape: a CloudEvent in structured JSON, which is also a payload as Standard Webhooks recommends it.

Thin: ids, numbers and reasons, no free text of the customer, below 20 kB. ``sequence`` orders the messages about one
alert: as a text that sorts (the extension of CloudEvents) and, in ``data``, as a number.

Sources: CloudEvents 1.0.2, JSON Event Format 1.0.2 (structured content mode, ``application/cloudevents+json``), the
extension "Sequence"; Standard Webhooks 1.0.0 ("Payload structure": ``type``, ``timestamp``, ``data``).
"""

from typing import Any, Final

from pipeline.webhooks import texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, request

CONTENT_TYPE: Final = "application/cloudevents+json"
SOURCE: Final = "urn:loyalty-pipeline"
SCHEMA: Final = "urn:loyalty-pipeline:churn_alert_webhook.v1"
MOST_CONTACTS: Final = 10
"""How many contacts are named, the newest; with the longest ids that are allowed the body stays below 20 kB."""


def standard(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as an event of its own type."""
    alert = delivery.alert
    yield request(
        endpoint,
        {
            "specversion": "1.0",
            "id": delivery.message_id,
            "source": SOURCE,
            "type": f"loyalty.churn_alert.{alert.transition}",
            "subject": alert.alert_id,
            "time": alert.occurred_at,
            "timestamp": alert.occurred_at,
            "sequence": f"{delivery.sequence:010d}",
            "datacontenttype": "application/json",
            "dataschema": SCHEMA,
            "data": _data(delivery, endpoint),
        },
        content_type=CONTENT_TYPE,
    )


def _data(delivery: Delivery, endpoint: Endpoint) -> dict[str, Any]:
    alert, language = delivery.alert, endpoint.language
    return {
        "alert_id": alert.alert_id,
        "sequence": delivery.sequence,
        "transition": alert.transition,
        "status": alert.status,
        "severity": alert.severity,
        "customer_id": alert.customer_id,
        "issue_id": alert.issue_id,
        "rule": alert.rule,
        "rule_version": alert.rule_version,
        "churn_risk_0_1": alert.churn_risk_0_1,
        "churn_risk_before_0_1": alert.churn_risk_before_0_1,
        "contributions": alert.contributions,
        "language": language,
        "title": texts.title(alert, language),
        "reasons": texts.reasons(alert, language),
        "recommended_action": texts.recommendation(alert, language),
        "contacts": len(alert.contact_ids),
        "contact_ids": alert.contact_ids[-MOST_CONTACTS:],
        "caused_by_event": alert.caused_by_event,
        "raised_at": alert.raised_at,
        "occurred_at": alert.occurred_at,
        "synthetic": alert.synthetic,
    }
