"""The formats of other systems as their documentation has them, as JSON Schemas. Unknown fields are refused.

Sources are named with each; what a documentation does not limit is not limited here.
"""

import json
from typing import Any

import jsonschema_rs

from pipeline import resources

TEXT = {"type": "string"}
MOMENT = {"type": "string", "format": "date-time"}


def strict(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these properties and no other."""
    return {
        "type": "object", "properties": {**required, **optional}, "required": list(required),
        "additionalProperties": False,
    }  # fmt: skip


def listed(item: dict[str, Any], least: int = 0, most: int = 10_000) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def problems(schema: dict[str, Any], document: object) -> list[str]:
    """What is wrong with a document."""
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return [str(problem) for problem in validator.iter_errors(document)]


def own_schema() -> dict[str, Any]:
    """The published schema of our own shape."""
    path = resources.schemas() / "webhooks" / "churn_alert_webhook.v1.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


CLOUD_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": "string", "minLength": 1},
        "dataschema": {"type": "string", "minLength": 1, "format": "uri"},
        "subject": {"type": "string", "minLength": 1},
        "time": MOMENT,
        "data": {"type": ["object", "string", "number", "array", "boolean", "null"]},
    },
    "required": ["id", "source", "specversion", "type"],
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
}
"""JSON Event Format of CloudEvents 1.0.2, its schema (cloudevents/spec, cloudevents/formats/cloudevents.json); names of
attributes by spec.md, "Attribute Naming Convention"."""

LABELS = {"type": "object", "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}, "additionalProperties": TEXT}
FIRING = {"enum": ["firing", "resolved"]}
ALERTMANAGER = strict(
    {
        "version": {"const": "4"},
        "groupKey": TEXT,
        "truncatedAlerts": {"type": "integer", "minimum": 0},
        "status": FIRING,
        "receiver": TEXT,
        "groupLabels": LABELS,
        "commonLabels": LABELS,
        "commonAnnotations": LABELS,
        "externalURL": TEXT,
        "alerts": listed(
            strict(
                {
                    "status": FIRING, "labels": LABELS, "annotations": LABELS, "startsAt": MOMENT, "endsAt": MOMENT,
                    "generatorURL": TEXT, "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                }
            ),
            1,
        ),
    }
)  # fmt: skip
"""https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; alertmanager/template/template.go."""

PAGERDUTY = strict(
    {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "payload": strict(
            {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
            },
            timestamp=MOMENT, component=TEXT, group=TEXT, custom_details={"type": "object"}, **{"class": TEXT},
        ),
    },
    dedup_key={"type": "string", "maxLength": 255}, client=TEXT, client_url=TEXT,
    images=listed({"type": "object"}), links=listed({"type": "object"}),
)  # fmt: skip
"""https://developer.pagerduty.com/docs/send-alert-event."""


def plain(most: int) -> dict[str, Any]:
    """A text object of Slack without markup, whose text is escaped."""
    return strict(
        {
            "type": {"const": "plain_text"},
            "text": {
                "type": "string", "minLength": 1, "maxLength": most,
                "pattern": "^([^<>&]|&amp;|&lt;|&gt;)*$",
            },
        },
        emoji={"type": "boolean"},
    )  # fmt: skip


SLACK = strict(
    {
        "text": {"type": "string", "minLength": 1, "pattern": "^([^<>&]|&amp;|&lt;|&gt;)*$"},
        "blocks": listed(
            {
                "oneOf": [
                    strict({"type": {"const": "header"}, "text": plain(150)}),
                    strict({"type": {"const": "section"}, "text": plain(3000)}),
                    strict({"type": {"const": "section"}, "fields": listed(plain(2000), 1, 10)}),
                ]
            },
            1,
            50,
        ),
    }
)
"""https://docs.slack.dev/reference/block-kit/blocks and /messaging/formatting-message-text#escaping."""

RUN = strict(
    {"type": {"const": "TextRun"}, "text": TEXT},
    weight={"enum": ["default", "lighter", "bolder"]},
    size={"enum": ["default", "small", "medium", "large", "extraLarge"]},
    color={"enum": ["default", "dark", "light", "accent", "good", "warning", "attention"]},
)
TEAMS = strict(
    {
        "type": {"const": "message"},
        "attachments": listed(
            strict(
                {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "content": strict(
                        {
                            "type": {"const": "AdaptiveCard"},
                            "version": {"enum": ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"]},
                            "body": listed(
                                strict(
                                    {"type": {"const": "RichTextBlock"}, "inlines": listed(RUN, 1)},
                                    spacing={"enum": ["none", "small", "default", "medium", "large"]},
                                )
                            ),
                        },
                        lang=TEXT, fallbackText=TEXT, msteams=strict({"width": {"const": "Full"}}),
                        **{"$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"}},
                    ),
                },
                contentUrl={"type": ["string", "null"]},
            ),
            1,
            1,
        ),
    }
)  # fmt: skip
"""https://adaptivecards.io/schemas/adaptive-card.json (RichTextBlock, TextRun; color since 1.0, inlines since 1.2);
https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using."""

ADF_INLINE = {
    "oneOf": [
        strict({"type": {"const": "text"}, "text": {"type": "string", "minLength": 1}}),
        strict({"type": {"const": "hardBreak"}}),
    ]
}
ADF = strict(
    {
        "type": {"const": "doc"},
        "version": {"const": 1},
        "content": listed(strict({"type": {"const": "paragraph"}, "content": listed(ADF_INLINE)})),
    }
)
"""https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/."""
JIRA_LABELS = listed({"type": "string", "pattern": r"^\S+$", "maxLength": 255})
JIRA_CREATE = strict(
    {
        "fields": strict(
            {
                "project": strict({"key": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]+$"}}),
                "issuetype": strict({"name": TEXT}),
                "summary": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\r\n]*$"},
            },
            description=ADF, labels=JIRA_LABELS,
        )
    }
)  # fmt: skip
JIRA_EDIT = strict(
    {
        "update": strict(
            {},
            comment=listed(strict({"add": strict({"body": ADF})})),
            labels=listed({"oneOf": [strict({"add": TEXT}), strict({"remove": TEXT})]}),
            summary=listed(strict({"set": {"type": "string", "minLength": 1, "maxLength": 255}})),
        )
    }
)
JIRA_MOVE = strict({"transition": strict({"id": TEXT})})
"""https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/."""

ZENDESK = strict(
    {
        "ticket": strict(
            {"comment": strict({"body": {"type": "string", "minLength": 1}}, public={"type": "boolean"})},
            subject=TEXT, external_id=TEXT, priority={"enum": ["urgent", "high", "normal", "low"]},
            status={"enum": ["new", "open", "pending", "hold", "solved", "closed"]},
            tags=listed({"type": "string", "pattern": "^[a-z0-9_-]+$"}),
            via_followup_source_id={"type": "integer"}, safe_update={"type": "boolean"}, updated_stamp=MOMENT,
        )
    }
)  # fmt: skip
"""https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/."""
