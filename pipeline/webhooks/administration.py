"""What an operator does with endpoints: add, list, test, rotate, disable and enable them. No printing.

Secrets are returned once, when they are made; nothing else here returns or shows one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pipeline.config import Settings
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Severity
from pipeline.errors import NotFound, Refused
from pipeline.webhooks.attempt import Answer, client
from pipeline.webhooks.catalogue import Language
from pipeline.webhooks.delivering import deliver
from pipeline.webhooks.endpoint_rules import check
from pipeline.webhooks.endpoints import Endpoint, EndpointFile, Shape, rotate
from pipeline.webhooks.own_ports import own_ports
from pipeline.webhooks.pending import message_id
from pipeline.webhooks.shapes import Delivery
from pipeline.webhooks.signing import new_secret

TEST_SECONDS = 20.0


class Private(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of an endpoint must not stand on a command line: read from a file or from standard input."""

    headers: dict[str, str] = {}
    credentials: dict[str, str] = {}


def private_in(text: bytes) -> Private:
    """Headers and credentials as an operator wrote them.

    Raises
    ------
    Refused
        They are not what is asked for; the message repeats nothing of them.
    """
    try:
        return msgspec.json.decode(text or b"{}", type=Private)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused(
            'the credentials must be one JSON object of texts: {"headers": {"NAME": "VALUE"}, "credentials": {…}}'
        ) from None


def add(
    settings: Settings,
    name: str,
    url: str,
    *,
    shape: Shape,
    language: Language,
    severities: Sequence[Severity],
    private: Private,
    allow_private: bool,
) -> str:
    """Add an endpoint; returns its secret, which is shown now and never again.

    Raises
    ------
    Refused
        It could not be used, or not safely, or there is one of this name.
    """
    now = datetime.now(UTC)
    secret = new_secret(now)
    endpoint = Endpoint(
        id=name,
        url=url,
        shape=shape,
        language=language,
        severities=tuple(severities),
        headers=private.headers,
        secrets=(secret,),
        credentials=private.credentials,
        allow_private=allow_private,
        created_at=now,
    )
    check(endpoint, own_ports(settings))

    def added(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
        if name in endpoints:
            raise Refused(f"there is an endpoint {name} already; `loyalty webhooks list` shows it")
        return endpoints | {name: endpoint}

    EndpointFile(settings.webhooks).change(added)
    return secret.value


def listed(settings: Settings) -> list[dict[str, Any]]:
    """The endpoints, without anything that is secret."""
    return [
        {
            "endpoint": one.id,
            "url": one.shown_url,
            "shape": one.shape,
            "language": one.language,
            "severities": list(one.severities),
            "state": "enabled" if one.enabled else "disabled",
            "why": one.disabled_because,
            "secrets": len(one.secrets),
            "created_at": one.created_at.isoformat(),
        }
        for one in EndpointFile(settings.webhooks).read().values()
    ]


def rotated(settings: Settings, name: str) -> str:
    """Give an endpoint a new secret; returns it. The one before stays valid for a day."""
    return _changed(settings, name, lambda one: rotate(one, datetime.now(UTC))).secrets[0].value


def disable(settings: Settings, name: str) -> None:
    """Send an endpoint nothing; what is pending for it waits."""
    _changed(
        settings, name, lambda one: msgspec.structs.replace(
            one, enabled=False, disabled_because="by an operator", disabled_at=datetime.now(UTC)
        ),
    )  # fmt: skip


def enable(settings: Settings, name: str) -> None:
    """Send an endpoint what is pending for it and what comes."""
    _changed(
        settings, name, lambda one: msgspec.structs.replace(one, enabled=True, disabled_because="", disabled_at=None)
    )


def _changed(settings: Settings, name: str, change: Any) -> Endpoint:
    def changed(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
        return endpoints | {name: change(one_of(endpoints, name))}

    return EndpointFile(settings.webhooks).change(changed)[name]


def one_of(endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """An endpoint by its name."""
    if name not in endpoints:
        raise NotFound(f"there is no endpoint {name!r}; `loyalty webhooks list` shows them")
    return endpoints[name]


def tested(settings: Settings, name: str) -> Answer:
    """Send an endpoint one made-up alert, marked synthetic, now; returns what it answered."""
    endpoint = one_of(EndpointFile(settings.webhooks).read(), name)
    answer = asyncio.run(_test(settings, endpoint))
    if answer is None:
        raise Refused(f"the shape {endpoint.shape} has no message for a new alert")
    return answer


async def _test(settings: Settings, endpoint: Endpoint) -> Answer | None:
    now = datetime.now(UTC)
    alert = example(now)
    delivery = Delivery(message_id=message_id(alert.alert_id, int(now.timestamp())), sequence=1, alert=alert)
    async with client(endpoint.allow_private, own_ports(settings)) as session:
        return await deliver(session, delivery, endpoint, lambda: datetime.now(UTC), TEST_SECONDS)


def example(now: datetime) -> ChurnAlert:
    """An alert that nobody raised."""
    return ChurnAlert(
        alert_id="0" * 32,
        customer_id="test-customer",
        issue_id="test-issue",
        rule="risk_after_contact",
        rule_version="test",
        transition="raised",
        status="open",
        severity="high",
        churn_risk_0_1=0.5,
        churn_risk_before_0_1=0.2,
        contributions=[],
        reasons=["This is a test: nobody called."],
        recommended_action="Nothing; this is a test.",
        history="A test of the webhook.",
        contact_ids=[],
        caused_by_event="test",
        raised_at=now,
        occurred_at=now,
        synthetic=True,
    )
