"""Waiting for facts and trying again, on clocks that do not wait."""

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from itertools import count

import pytest
import stamina

from pipeline import retries
from pipeline.errors import Refused, Transient
from pipeline.retries import Policy, retry, retry_async
from pipeline.waiting import Pace, Steady, wait_until


class Hands:
    """A clock that is turned by whoever sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def unhurried() -> Iterator[None]:
    """stamina's own test mode: no pauses."""
    with stamina.set_testing(True, attempts=100):
        yield


def test_a_fact_is_waited_for_until_it_is_so() -> None:
    clock, answers = Hands(), iter([0, 0, 7, 8])
    assert wait_until(lambda: next(answers), seconds=None, pause=0.2, clock=clock) == 7
    assert clock.slept == [0.2, 0.2]


def test_when_time_is_up_the_last_answer_is_returned() -> None:
    clock, numbers = Hands(), count()
    assert wait_until(lambda: next(numbers), lambda n: n > 50, seconds=1.0, pause=0.5, clock=clock) == 3
    assert wait_until(lambda: 0, seconds=0.0, pause=0.5, clock=Hands()) == 0


def test_what_a_question_raises_ends_the_wait() -> None:
    def ask() -> bool:
        raise Refused("no")

    with pytest.raises(Refused):
        wait_until(ask, seconds=None, pause=0.1, clock=Hands())


def test_how_long_something_has_been_so_begins_again_with_every_change() -> None:
    clock = Hands()
    steady = Steady(clock)
    seconds = []
    for value in ("a", "a", "b", "b", "b", "a"):
        seconds.append(steady.seconds(value))
        clock.now += 2.0
    assert seconds == [0, 2, 0, 2, 4, 0]


def test_a_pace_is_kept_on_the_whole() -> None:
    clock = Hands()
    pace = Pace(10.0, clock)
    pace.keep(1)
    clock.now += 0.3
    pace.keep(2)
    pace.keep(5)
    assert clock.slept == pytest.approx([0.1, 0.0, 0.1])
    Pace(None, clock).keep(1_000)
    assert len(clock.slept) == 3


@pytest.mark.usefixtures("unhurried")
def test_what_may_pass_is_tried_again_and_nothing_else() -> None:
    failures = iter([Transient("1"), Transient("2"), Refused("3")])

    def call() -> int:
        raise next(failures)

    with pytest.raises(Refused, match="3"):
        retry(retries.LEADER, Transient, call)
    assert not list(failures)


@pytest.mark.usefixtures("unhurried")
def test_in_an_event_loop_it_is_the_same() -> None:
    answers: Iterator[Exception | int] = iter([Transient("1"), Transient("2"), 7])

    async def call() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert asyncio.run(retry_async(retries.BROKER_AWAY, Transient, call)) == 7


def test_a_policy_has_a_total_or_is_for_ever_and_its_pauses_are_bounded() -> None:
    policies = {name: value for name, value in vars(retries).items() if isinstance(value, Policy)}
    assert len(policies) >= 9
    for policy in policies.values():
        assert policy.total is None or 0 < policy.total <= 60
        assert 0 < policy.pause + policy.jitter <= (policy.longest or 1.5)


def test_the_last_failure_is_raised_when_time_is_up() -> None:
    numbers = count()

    def call() -> int:
        raise Transient(str(next(numbers)))

    with pytest.raises(Transient) as raised:
        retry(Policy(0.05, 0.01), Transient, call)
    assert str(raised.value) == str(next(numbers) - 1) != "0"


class Client:
    """Stands for one with threads and connections."""


def test_a_failure_leaves_no_client_behind() -> None:
    """A worker collects its cycles rarely, and asks a broker that is away again and again."""

    def ask() -> "weakref.ref[Client]":
        client = Client()
        gone = weakref.ref(client)

        def call() -> None:
            assert client
            raise Transient("away")

        try:
            retry(Policy(0.02, 0.01), Transient, call)
        except Transient:
            return gone
        raise AssertionError

    gc.collect()
    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()


def test_a_command_that_needs_no_retry_loads_none() -> None:
    script = "import sys, pipeline.cli; assert 'stamina' not in sys.modules and 'tenacity' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
