"""Endpoints that come, go, vanish with their file, or are gone: what is pending for them waits or is given up."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pipeline.crashpoints import CrashPoints
from pipeline.webhooks.endpoints import Endpoint, EndpointFile
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Attempt, Outbox
from pipeline.webhooks.pending import Pending, pending_for
from pipeline.webhooks.senders import Senders
from pipeline.webhooks.signing import new_secret
from tests.faults.alerts_told import START, alert
from tests.faults.webhook_receiver import Receiver
from tests.stacks import eventually


class Written:
    """An outbox that keeps what it is told."""

    def __init__(self) -> None:
        self.settled: list[Pending] = []
        self.rescheduled: list[Pending] = []
        self.attempts: list[Attempt] = []

    def check_alive(self) -> None:
        return

    async def log(self, attempt: Attempt, _partition: int) -> None:
        self.attempts.append(attempt)

    async def settle(self, *pending: Pending) -> None:
        self.settled.extend(pending)

    async def reschedule(self, pending: Pending, _due_at_ms: int) -> None:
        self.rescheduled.append(pending)


class Place:
    """A file of endpoints, senders for them, and what they write."""

    def __init__(self, folder: Path) -> None:
        self.file, self.written, self.facts = EndpointFile(folder / "hooks.json"), Written(), CollectorRegistry()
        self.path = folder / "hooks.json"
        self.senders = Senders(
            self.file, (), cast(Outbox, self.written), NotifierMetrics(self.facts), CrashPoints()
        )  # fmt: skip

    def put(self, *endpoints: Endpoint) -> None:
        self.file.change(lambda _: {one.id: one for one in endpoints})

    def metric(self, name: str, **labels: str) -> float | None:
        return self.facts.get_sample_value(name, labels)

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def all_of_it() -> None:
            async with asyncio.TaskGroup() as tasks:
                self.senders.run_in(tasks)
                await self.senders.follow_file()
                await work()
                await self.senders.end()

        asyncio.run(all_of_it())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def desk(url: str = "https://desk.example/hook", **changes: Any) -> Endpoint:
    made = Endpoint(id="desk", url=url, secrets=(new_secret(START),), created_at=START, allow_private=True)
    return msgspec.structs.replace(made, **changes)


def waiting(customer: str = "c-1", offset: int = 0) -> Pending:
    told = alert(customer)
    return pending_for(desk(), told, msgspec.json.encode(told), 0, offset, 0)


def test_what_is_pending_outlives_a_file_that_vanishes_and_not_an_endpoint_that_was_taken_out(place: Place) -> None:
    place.put(desk(enabled=False))

    async def work() -> None:
        place.senders.queue(waiting())
        place.path.rename(place.path.with_suffix(".away"))
        await place.senders.follow_file()
        assert place.metric("loyalty_webhook_file_refused") == 1
        assert place.written.settled == []
        place.path.with_suffix(".away").rename(place.path)
        await place.senders.follow_file()
        assert place.metric("loyalty_webhook_file_refused") == 0
        assert place.written.settled == []
        place.put()
        await place.senders.follow_file()
        assert [one.customer_id for one in place.written.settled] == ["c-1"]

    place.run(work)


def test_without_any_file_nothing_that_is_pending_is_given_up(place: Place) -> None:
    async def work() -> None:
        place.senders.queue(waiting())
        await place.senders.follow_file()
        place.senders.observe()
        assert place.metric("loyalty_webhook_pending") == 1
        assert place.written.settled == []

    place.run(work)


def test_who_was_erased_is_not_told_of(place: Place) -> None:
    place.put(desk(enabled=False))

    async def work() -> None:
        place.senders.queue(waiting("c-1"))
        place.senders.queue(waiting("c-2", 1))
        await place.senders.give_up(lambda one: one.customer_id == "c-2")
        assert [one.customer_id for one in place.written.settled] == ["c-2"]

    place.run(work)


def test_what_somebody_else_settled_is_not_sent(place: Place) -> None:
    place.put(desk(enabled=False))

    async def work() -> None:
        one = waiting()
        place.senders.queue(one)
        place.senders.withdraw(one.key)
        place.senders.observe()
        assert place.metric("loyalty_webhook_pending") == 0

    place.run(work)


def test_after_its_partition_is_lost_nothing_is_sent_and_nothing_settled(place: Place) -> None:
    with Receiver().listening() as receiver:
        place.put(desk(receiver.url, enabled=False))

        async def work() -> None:
            place.senders.queue(waiting())
            place.senders.forget()
            place.put(desk(receiver.url))
            await place.senders.follow_file()
            await asyncio.sleep(0.3)
            assert receiver.requests == 0
            assert place.written.settled == []

        place.run(work)


def test_an_attempt_is_logged_before_its_message_is_settled_and_a_refusal_is_tried_again(place: Place) -> None:
    with Receiver(answer=lambda _: 503).listening() as receiver:
        place.put(desk(receiver.url))

        async def work() -> None:
            place.senders.queue(waiting())
            await asyncio.to_thread(eventually, lambda: bool(place.written.rescheduled), 20, "put off")
            assert [(one.outcome, one.status, one.number) for one in place.written.attempts] == [("retry", 503, 1)]
            assert place.written.attempts[0].next_at is not None
            receiver.answer = lambda _: 204
            await asyncio.to_thread(eventually, lambda: bool(place.written.settled), 40, "delivered")
            assert [one.outcome for one in place.written.attempts] == ["retry", "delivered"]

        place.run(work)


def test_a_message_for_a_shape_that_its_endpoint_no_longer_has_is_given_up(place: Place) -> None:
    place.put(desk(shape="slack"))

    async def work() -> None:
        place.senders.queue(waiting())
        await asyncio.to_thread(eventually, lambda: bool(place.written.settled), 20, "given up")
        assert place.written.attempts == []

    place.run(work)
