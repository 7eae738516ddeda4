"""Slack's incoming webhooks: a message of blocks, with a plain text for notifications.

A message cannot be changed by a webhook, so every transition is a message of its own with the same customer and alert
in it. All texts are ``plain_text``, which knows no markup, and escaped all the same: Slack reads ``<!channel>`` in any
text.

Sources: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/messaging/formatting-message-text#escaping, https://docs.slack.dev/reference/block-kit/blocks
(header 150 characters; section 3,000 and ten fields of 2,000).
"""

from typing import Any, Final

from pipeline.core.state.customer import Severity
from pipeline.webhooks import catalogue, texts
from pipeline.webhooks.endpoints import Endpoint
from pipeline.webhooks.shapes.requests import Conversation, Delivery, cut, request

MOST_HEADER, MOST_TEXT, MOST_FIELD = 150, 3000, 2000
SIGNS: Final[dict[Severity, str]] = {"critical": "🔴", "high": "🟠", "medium": "🟡"}
ENDED: Final = "✅"


def slack(delivery: Delivery, endpoint: Endpoint) -> Conversation:
    """Every transition, as a message."""
    alert, language = delivery.alert, endpoint.language
    sign = SIGNS[alert.severity] if alert.status == "open" else ENDED
    heading = f"{sign} {texts.title(alert, language)}"
    why = "\n".join(f"• {reason}" for reason in texts.reasons(alert, language))
    todo = f"{catalogue.WHAT_TO_DO.of(language)}: {texts.recommendation(alert, language)}"
    yield request(
        endpoint,
        {
            "text": escaped(heading, MOST_TEXT),
            "blocks": [
                {"type": "header", "text": _plain(heading, MOST_HEADER)},
                {
                    "type": "section",
                    "fields": [_plain(f"{name}: {value}", MOST_FIELD) for name, value in texts.facts(alert, language)],
                },
                *({"type": "section", "text": _plain(text, MOST_TEXT)} for text in (why, todo) if text),
            ],
        },
    )


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, most), "emoji": False}


def escaped(text: str, most: int) -> str:
    """A text without markup, of at most so many characters after its escapes."""
    while len(safe := text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > most:
        text = cut(text, len(text) - max(1, (len(safe) - most) // 5))
    return safe
