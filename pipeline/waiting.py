"""Waiting for a fact: one loop, with its clock given."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

Awaited = TypeVar("Awaited")


class Clock(Protocol):
    """What :mod:`time` offers; a test gives one that does not wait."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        ...


def wait_until(
    ask: Callable[[], Awaited],
    is_enough: Callable[[Awaited], object] = bool,
    *,
    seconds: float | None,
    pause: float,
    clock: Clock = time,
) -> Awaited:
    """Ask again and again, until an answer is enough or time is up; returns the last answer.

    It is asked at least once. Whatever ``ask`` raises ends the wait.
    """
    end = None if seconds is None else clock.monotonic() + seconds
    while True:
        answer = ask()
        if is_enough(answer) or (end is not None and clock.monotonic() > end):
            return answer
        clock.sleep(pause)


class Steady:
    """Knows for how long what it is shown has been the same."""

    def __init__(self, clock: Clock = time) -> None:
        self._clock = clock
        self._last: object = None
        self._since = clock.monotonic()

    def seconds(self, value: object) -> float:
        """For how long the value, which is so now, has been so."""
        now = self._clock.monotonic()
        if value != self._last:
            self._last, self._since = value, now
        return now - self._since


class Pace:
    """Keeps something that is counted at a rate."""

    def __init__(self, per_second: float | None, clock: Clock = time) -> None:
        self._per_second, self._clock = per_second, clock
        self._started = clock.monotonic()

    def keep(self, count: int) -> None:
        """Wait until ``count`` is due; without a rate everything is."""
        if self._per_second:
            self._clock.sleep(max(0.0, self._started + count / self._per_second - self._clock.monotonic()))
