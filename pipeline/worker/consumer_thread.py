"""The thread in which Faust's consumer talks to the broker, with a bound on every fetch and our notes in commits.

Each override replaces a method of Faust 0.15.3; ``tests/worker/test_transport.py`` fails when one of them changes.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from pipeline.crashpoints import Point
from pipeline.errors import Transient
from pipeline.worker.commits import Commit, commit, committed

SLOW_SECONDS = 300.0
"""How long a slice may take from its fetch until it is durable before that is said."""
STUCK_FETCH_SECONDS = 3.0
"""When a fetch that waits for something else than records is given up and begun again."""
COMMITTED_SECONDS = 30.0
"""How long the broker may take to say what was committed."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with a bound on every fetch.

    aiokafka waits without one for an assignment that a second rebalance may have replaced; all calls into the thread
    queue up behind that wait. A fetch that is cancelled has taken nothing.
    """

    async def _fetch_records(self, consumer: Any, active_partitions: Any, **kwargs: Any) -> dict[TP, list[Any]]:
        fetch = super()._fetch_records(consumer, active_partitions, **kwargs)
        try:
            return await asyncio.wait_for(fetch, STUCK_FETCH_SECONDS)
        except TimeoutError:
            return {}

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Judge by the ledger: Faust goes by its own notes, which slices do not keep, and by when it last committed.

        Its alarms (and a request to report them as a bug) come whenever a record arrives after a quiet while.
        """
        since = self.consumer.ledger.since(tp)
        if since is not None and now - since > SLOW_SECONDS:
            self.log.error("%s: what was fetched %.0f s ago is not durable yet", tp, now - since)

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Nothing: the watchdog ends a worker whose recovery makes no progress."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer, assigned = self._ensure_consumer(), self.assignment()
        note = self.consumer.app.commit_note
        wanted = {tp: Commit(offset, note(tp)) for tp, offset in offsets.items() if tp in assigned}
        self.consumer.app.crash.reached(Point.BEFORE_COMMIT)
        try:
            await commit(consumer, wanted)
        except (CommitFailedError, IllegalStateError, KafkaError) as failed:
            self.log.warning("a commit failed; what it covered will be read again: %s", type(failed).__name__)
            return False
        self.consumer.app.crash.reached(Point.AFTER_COMMIT)
        return True

    def commits(self, places: Iterable[TP]) -> dict[TP, Commit]:
        """The commits of the group; for any thread but this one, and not for the one that runs the agents.

        Raises
        ------
        Transient
            The broker does not say.
        """
        asking = asyncio.run_coroutine_threadsafe(committed(self._ensure_consumer(), places), self.thread_loop)
        try:
            return asking.result(COMMITTED_SECONDS)
        except (TimeoutError, KafkaError) as failed:
            asking.cancel()
            raise Transient(f"what the workers have committed cannot be read: {type(failed).__name__}") from None
