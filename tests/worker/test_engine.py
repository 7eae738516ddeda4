"""The engine looks behind its last record only while the partition is its own."""

import asyncio
from typing import Any, cast

from pipeline.config import Settings
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.risk.assessment import PRIORS
from pipeline.topics import STATES, Topic
from pipeline.worker.engine import Engine
from pipeline.worker.outputs import KafkaOutputs
from pipeline.worker.partitions import PartitionState


class Expecting(KafkaOutputs):
    """Outputs without a broker: what is expected, and which places were looked at."""

    def __init__(self, expected: int) -> None:
        self._next = {(STATES, 0): expected}
        self.looked_at: list[tuple[str, int, int, int]] = []

    async def examine(self, topic: Topic, partition: int, first: int, end: int, ours: int) -> None:
        self.looked_at.append((topic.name, partition, first, end))


def engine_with(outputs: KafkaOutputs) -> Engine:
    """An engine that has nothing but its outputs."""
    nothing = cast(Any, None)
    return Engine(Settings(), nothing, outputs, nothing, lambda: nothing, PRIORS, nothing, {}, nothing)


def test_what_lies_behind_our_last_record_is_looked_at_once_and_only_while_the_partition_is_ours() -> None:
    outputs = Expecting(7)
    engine = engine_with(outputs)

    async def look(end: int) -> list[tuple[str, int, int, int]]:
        await engine.watch_outputs(0, {STATES: end})
        found, outputs.looked_at = outputs.looked_at, []
        return found

    assert asyncio.run(look(9)) == [], "nothing is known of the partition yet"
    engine.assigned()
    outputs.expect(STATES, 0, 7)
    engine._lanes[0] = PartitionState(AlertReconciler({}), {}, 0)
    assert asyncio.run(look(7)) == []
    assert asyncio.run(look(9)) == [(STATES.name, 0, 7, 9)]
    assert asyncio.run(look(9)) == []
    asyncio.run(engine.revoked())
    assert asyncio.run(look(12)) == [], "another worker may have it"


def test_partitions_that_come_while_others_are_given_up_are_no_fault() -> None:
    """Whoever waits for a lock may let a timer make another: two rebalances while time is looked at."""

    async def scenario() -> None:
        engine = engine_with(Expecting(0))
        engine.assigned()
        await engine._locks[0].acquire()
        given_up = asyncio.ensure_future(engine.revoked())
        await asyncio.sleep(0)
        async with engine._locks[1]:
            engine._locks[0].release()
            await asyncio.sleep(0)
        await given_up

    asyncio.run(scenario())
