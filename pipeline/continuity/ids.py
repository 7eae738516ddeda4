"""The ids of the topics at the broker, and whether they still are those a process began with."""

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from pipeline import kafka, watched
from pipeline.config import Settings
from pipeline.errors import Transient, Unreachable
from pipeline.kafka.incarnations import Bases
from pipeline.kafka.topic_refusals import again, missing
from pipeline.topics import TOPICS

WATCH_SECONDS = 2.0
MISSING_SECONDS = 8.0
"""How long a topic must be unknown to count as gone: a broker that has just started may not know it yet."""
ANSWER_SECONDS = 10.0
WATCH_ANSWER_SECONDS = 1.5
"""How long a look waits for its answer; the next one follows soon."""
CAREFUL_SECONDS = 60.0
"""How long after a failure it is asked first whether the broker that has to answer is there."""
Ids = Mapping[str, str]
"""Topic ids by logical name."""


class Topics:
    """The ids of the topics as a running process knows them, and whether they still are the broker's."""

    def __init__(self, settings: Settings, known: Ids, bases: Bases) -> None:
        self._settings = settings
        self._client = kafka.admin(settings)
        self._careful_until = 0.0
        self._missing_since: float | None = None
        self.known = known
        self.bases = bases

    def check(self) -> None:
        """Return when every topic is the one it was.

        Raises
        ------
        Refused
            One is another, or has been missing for a while.
        Unreachable
            The broker does not answer.
        """
        current = self._found()
        for topic, known in self.known.items():
            if current.get(topic, known) != known:
                raise again(self._settings, topic)
        absent = sorted(self.known.keys() - current.keys())
        now = time.monotonic()
        self._missing_since = (self._missing_since or now) if absent else None
        if self._missing_since is not None and now - self._missing_since > MISSING_SECONDS:
            raise missing(self._settings, absent[0])

    def _found(self) -> Ids:
        try:
            if time.monotonic() < self._careful_until:
                kafka.check_controller(self._client)
            return ids(self._settings, self._client, WATCH_ANSWER_SECONDS)
        except Transient:
            self._careful_until = time.monotonic() + CAREFUL_SECONDS
            raise

    def watch(self) -> None:
        """Look in a thread of its own; the process ends when a topic is another."""
        watched.live_or_end("topics", self._watch)

    def _watch(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(WATCH_SECONDS):
            with contextlib.suppress(Transient):  # away; whoever works will say so
                self.check()


def ids(settings: Settings, client: Any = None, seconds: float = ANSWER_SECONDS) -> dict[str, str]:
    """The topics' ids at the broker; a topic that it does not know is left out.

    Raises
    ------
    Unreachable
        The broker does not answer.
    """
    names = {settings.topic(topic.name): topic.name for topic in TOPICS}
    asked = client or kafka.admin(settings)  # must outlive its futures
    by_name: dict[str, str] = {}
    try:
        for name, answer in asked.describe_topics(TopicCollection(list(names)), request_timeout=seconds).items():
            try:
                by_name[names[name]] = str(answer.result(seconds + 1).topic_id)
            except KafkaException as failed:
                if failed.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
    except (KafkaException, TimeoutError) as failed:
        raise Unreachable(f"Kafka does not say which topics it has: {failed}") from None
    return by_name
