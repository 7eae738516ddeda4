"""The process ``loyalty notifier``: puts together what :mod:`.notifier` needs, and ends as it is told."""

import asyncio
import gc
import os
import signal
from contextlib import closing

import structlog
from confluent_kafka import KafkaException

from pipeline import continuity, kafka, logs, metrics, retries
from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import LoyaltyError, Transient
from pipeline.exits import end_within
from pipeline.retries import retry
from pipeline.topics import ALERTS, EVERY_TOPIC
from pipeline.webhooks.endpoints import EndpointFile
from pipeline.webhooks.inbound import Inbound
from pipeline.webhooks.intake import Intake
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.notifier import Notifier
from pipeline.webhooks.outbox import Outbox
from pipeline.webhooks.own_ports import own_ports
from pipeline.webhooks.senders import Senders

LEAVE_SECONDS = 15.0
"""How long a stop may take."""


def _stop(notifier: Notifier) -> None:
    """Ask it to stop; a stop that takes too long (the broker may be gone) is cut short: what is pending is in Kafka."""
    notifier.stop()
    end_within(LEAVE_SECONDS)


def _too_old(settings: Settings) -> dict[tuple[str, int], int]:
    """Alerts that left their topic before they were read are nobody's news any more: none of them is missed."""
    return dict.fromkeys(((ALERTS.name, number) for number in range(settings.partitions)), 2**62)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended the others."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def _serve(settings: Settings, notifier: Notifier, inbound: Inbound | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, notifier)
    if inbound is not None:
        await inbound.start(settings.inbound_listen, settings.inbound_port)
    try:
        await notifier.run()
    finally:
        if inbound is not None:
            await inbound.stop()


def run(settings: Settings) -> None:
    """Run a notifier until SIGTERM or SIGINT."""
    logs.configure("notifier")
    crash = CrashPoints.from_env(os.environ)
    kafka.verify_topics(settings, EVERY_TOPIC)
    made = metrics.registry("notifier")
    metrics.serve(made, settings.listen, settings.notifier_metrics_port)
    facts = NotifierMetrics(made)
    file = EndpointFile(settings.webhooks)
    file.read()  # one that cannot be used ends the start, with its reason
    with closing(Suppressions(settings)) as suppressions:
        topics = retry(  # a broker that has just started does not know the group yet
            retries.COORDINATOR,
            Transient,
            lambda: continuity.agreed(settings, suppressions, "notifier", _too_old(settings)),
        )
        outbox = Outbox(settings, crash)
        senders = Senders(file, own_ports(settings), outbox, facts, crash)
        inbound = Inbound(settings, lambda: senders.endpoints, outbox, facts) if settings.inbound_port else None
        with closing(Intake(settings, topics.bases)) as intake:
            notifier = Notifier(intake, outbox, senders, suppressions, facts, crash, topics)
            gc.freeze()  # what is there now stays
            structlog.get_logger().info("notifier ready")
            try:
                asyncio.run(_serve(settings, notifier, inbound))
            except* LoyaltyError as ended:
                raise _first(ended) from None
            except* KafkaException as failed:
                raise Transient(f"Kafka ended the notifier's membership: {_first(failed)}") from None
