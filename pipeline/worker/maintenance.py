"""While `loyalty rebuild` puts new states into the place of the live ones, no worker folds.

Whoever swaps says so, and says it again every two seconds: in the commit of a group of its own, which every process
that reaches Kafka can read. A worker that runs and hears it twice finishes what it has in hand and ends; one that
starts waits until it is taken back, or is not said any more because whoever said it was killed.
"""

import contextlib
import os
import signal
import threading
import time

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline import kafka, retries, watched
from pipeline.config import Settings
from pipeline.errors import Refused, Transient
from pipeline.retries import retry
from pipeline.topics import SUPPRESSED
from pipeline.waiting import Steady, wait_until

GROUP = "rebuild"
BEAT_SECONDS = 2.0
SILENCE_SECONDS = 12.0
"""Not said for so long, whoever said it is gone."""
BREATHLESS_SECONDS = 8.0
"""Whoever could not say it for so long must not write: a worker may have stopped waiting."""
ANSWER_SECONDS = 5.0


class SwapNotice:
    """The notice about a swap, in a commit; for one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._place = settings.topic(SUPPRESSED.name)
        self._client: Consumer = kafka.consumer(settings, GROUP, settings.group(GROUP))

    def now(self) -> str:
        """The word that stands there; empty when nothing is swapped.

        Raises
        ------
        KafkaException
            The broker does not answer.
        """
        [commit] = self._client.committed([TopicPartition(self._place, 0)], timeout=ANSWER_SECONDS)
        return kafka.commit_note(commit) if commit.offset >= 0 else ""

    def say(self, word: str) -> None:
        """Put another word there; raises as :meth:`now`."""
        [answer] = self._client.commit(offsets=[TopicPartition(self._place, 0, 0, word)], asynchronous=False)
        if answer.error is not None:
            raise KafkaException(answer.error)

    def close(self) -> None:
        """Ask no more."""
        self._client.close()


class SwapAnnouncement:
    """Says that states are swapped, for the time of a ``with`` block."""

    def __init__(self, settings: Settings) -> None:
        self._notice = SwapNotice(settings)
        self._word = f"swap {os.getpid()}.{time.time_ns()}"
        self._heard = time.monotonic()
        self._ending = threading.Event()

    def __enter__(self) -> "SwapAnnouncement":
        before = _asked(self._notice)
        if before:
            time.sleep(2 * BEAT_SECONDS)
            if _asked(self._notice) != before:
                raise Refused("another rebuild swaps states at this moment; wait for it, and try again")
        try:
            self._notice.say(f"{self._word} 0")
        except KafkaException as failed:
            raise Transient(f"Kafka does not take that states are swapped: {failed.args[0].str()}") from None
        self._heard = time.monotonic()
        self._thread = watched.live_again("announce", self._repeat, stopping=self._ending)
        return self

    def _repeat(self) -> None:
        count = 0
        while not self._ending.wait(BEAT_SECONDS):
            count += 1
            try:
                self._notice.say(f"{self._word} {count}")
            except KafkaException:
                continue
            self._heard = time.monotonic()

    def check(self) -> None:
        """Return when every worker still has reason to wait.

        Raises
        ------
        Transient
            It could not be said for a while.
        """
        if time.monotonic() - self._heard > BREATHLESS_SECONDS:
            raise Transient("Kafka did not take for a while that states are swapped; run it again, it goes on")

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        with contextlib.suppress(KafkaException):  # workers notice that it is not said any more
            self._notice.say("")
        self._notice.close()


def wait_for_the_end(settings: Settings) -> None:
    """Return when no states are being swapped."""
    notice = SwapNotice(settings)
    try:
        if not _asked(notice):
            return
        structlog.get_logger().warning("`loyalty rebuild` puts new states into place; waiting until it is done")
        steady = Steady()
        wait_until(
            lambda: not (word := _asked(notice)) or steady.seconds(word) >= SILENCE_SECONDS,
            seconds=None, pause=BEAT_SECONDS / 2,
        )  # fmt: skip
    finally:
        notice.close()


def _asked(notice: SwapNotice) -> str:
    """The notice now; a group that is new, or whose broker has just changed, is asked again without a word."""
    begun = time.monotonic()

    def may_pass(failed: Exception) -> bool:
        if not isinstance(failed, KafkaException):
            return False
        if time.monotonic() - begun > ANSWER_SECONDS:
            structlog.get_logger().warning("the broker does not answer; waiting", error=failed.args[0].str())
        return True

    return retry(retries.SWAP, may_pass, notice.now)


class StateSwapWatch:
    """Looks every two seconds whether a swap wants the worker to leave."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seen = False

    def start(self) -> None:
        """Look in a thread of its own until the process ends."""
        watched.live_again("swap", self._look)

    def _look(self) -> None:
        notice, before = SwapNotice(self._settings), ""
        with contextlib.closing(notice):
            while not self.seen:
                time.sleep(BEAT_SECONDS)
                try:
                    now = notice.now()
                except KafkaException:
                    continue  # away; whoever works will say so
                self.seen = bool(now and before and now != before)  # somebody says it now, and did not only once
                before = now
        os.kill(os.getpid(), signal.SIGTERM)  # the worker finishes what it has in hand and ends
