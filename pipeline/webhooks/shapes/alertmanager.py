"""The webhook of Prometheus Alertmanager, version 4: what any receiver of Alertmanager already understands.

Open alerts are ``firing``, all others ``resolved``. Severity is a label, because receivers route by it; it may change
during an episode, so the fingerprint and the group, by which receivers recognise the alert, leave it out.

Sources: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; ``template.Data`` in Alertmanager's
template/template.go; ``LabelSet.Fingerprint`` in prometheus/common (FNV-1a, 64 bits, 0xff after each name and value).
"""

from datetime import datetime
from typing import Final

from pipeline.webhooks import texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, request

NAME: Final = "LoyaltyChurnRisk"
NO_END: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: the alert has not ended."""
_OFFSET, _PRIME, _SEPARATOR = 14695981039346656037, 1099511628211, b"\xff"


def alertmanager(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as a group of this one alert."""
    alert, language = delivery.alert, endpoint.language
    identity = {
        "alertname": NAME,
        "alert_id": alert.alert_id,
        "customer_id": alert.customer_id,
        "issue_id": alert.issue_id,
        "rule": alert.rule,
    }
    labels = {**identity, "severity": alert.severity}
    annotations = {
        "summary": texts.title(alert, language),
        "description": "\n".join(texts.reasons(alert, language)),
        "recommended_action": texts.recommendation(alert, language),
        "transition": alert.transition,
        "sequence": str(delivery.sequence),
    }
    status = "firing" if alert.status == "open" else "resolved"
    ends: str | datetime = NO_END if alert.status == "open" else alert.occurred_at
    group = {"alertname": NAME, "alert_id": alert.alert_id}
    yield request(
        endpoint,
        {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{NAME}", alert_id="{alert.alert_id}"}}',
            "truncatedAlerts": 0,
            "status": status,
            "receiver": endpoint.id,
            "groupLabels": group,
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "",
            "alerts": [
                {
                    "status": status,
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": alert.raised_at,
                    "endsAt": ends,
                    "generatorURL": "",
                    "fingerprint": fingerprint(identity),
                }
            ],
        },
    )


def fingerprint(labels: dict[str, str]) -> str:
    """The fingerprint of a set of labels, 16 hexadecimal digits."""
    text = b"".join(part.encode() + _SEPARATOR for name in sorted(labels) for part in (name, labels[name]))
    total = _OFFSET
    for byte in text:
        total = ((total ^ byte) * _PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"
