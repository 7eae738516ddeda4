"""Microsoft Teams by the webhook of a workflow: a message with one Adaptive Card.

A card cannot be changed by a webhook, so every transition is a card of its own. Texts are runs of a ``RichTextBlock``,
which knows no markdown, unlike ``TextBlock`` and ``Fact``.

Sources: https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
("Send Adaptive Cards using an Incoming Webhook", at most 28 KB); https://adaptivecards.io/schemas/adaptive-card.json;
https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features (no markdown in RichTextBlock).
"""

from typing import Any, Final

from pipeline.core.state.customer import Severity
from pipeline.webhooks import catalogue, texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, request

CARD: Final = "application/vnd.microsoft.card.adaptive"
COLORS: Final[dict[Severity, str]] = {"critical": "attention", "high": "warning", "medium": "accent"}
ENDED: Final = "good"


def teams(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as a card."""
    alert, language = delivery.alert, endpoint.language
    color = COLORS[alert.severity] if alert.status == "open" else ENDED
    heading = _run(texts.title(alert, language), weight="bolder", size="medium", color=color)
    facts = [
        _block(_run(f"{name}: ", weight="bolder"), _run(value), spacing="none")
        for name, value in texts.facts(alert, language)
    ]
    reasons = [_block(_run(f"• {reason}"), spacing="small") for reason in texts.reasons(alert, language)]
    todo = _block(
        _run(f"{catalogue.WHAT_TO_DO.of(language)}: ", weight="bolder"), _run(texts.recommendation(alert, language))
    )
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "lang": language,
        "fallbackText": texts.title(alert, language),
        "body": [_block(heading), *reasons, todo, *facts],
        "msteams": {"width": "Full"},
    }
    yield request(
        endpoint,
        {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]},
    )


def _block(*runs: dict[str, Any], **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), **style}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
