"""The whole pipeline on one page. Start reading here.

::

     producers ──▶ purchases ─────┐                       ┌──▶ churn-alerts ─────┐──▶ notifier ──▶ webhooks
                   service-contacts├──▶ worker ───────────┼──▶ dead-letters ─────┤
                   surveys ────────┤    (this function)   └──▶ customer-states ──┼──▶ sink ──▶ ClickHouse ──▶ people
                   alert-outcomes ─┘                                             │
                         └──────────────────── raw events ───────────────────────┘

A worker handles the *slices* of a partition that have arrived, together: a slice is consecutive records of one topic.
The order of the steps is what the guarantees rest on:

1. customer by customer, decode every record; what cannot be used becomes a dead letter, its neighbours go on
2. fold the events into the customer, in memory; then look once whether their risk has changed.
   News about a customer waits while the log of alerts is ahead of the state (:mod:`pipeline.core.reconciliation`).
   What names a customer who was erased is dropped: no state, no alert, no dead letter
3. effects (alerts, dead letters) are sent and confirmed by the broker
4. pieces, then changed customers are sent to the state's changelog and confirmed by the broker: pieces hold the marks
   that customers no longer do (:mod:`pipeline.core.state.marks`)
5. only then do the slices count as done, and their offsets may be committed

A crash before 4 repeats them from the old state and sends the same effects again, under the same ids. A crash
after 4 finds the applied offsets inside the state and folds nothing twice.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline.core.contract.decode import Decoder
from pipeline.core.reconciliation import AlertReconciler
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.state.suppression import Suppressed
from pipeline.fold_result import FoldResult, States
from pipeline.folding import fold
from pipeline.records import Accept, AlertUpdate, DeadLetter, Slice


class Outputs(Protocol):
    """Where results go; each call returns when the broker has confirmed everything it was given."""

    async def effects(self, partition: int, news: Sequence[AlertUpdate], dead: Sequence[DeadLetter]) -> None: ...

    async def pieces(self, partition: int, values: Mapping[bytes, bytes]) -> int:
        """Send pieces to the changelog; returns the offset of the last."""
        ...

    async def states(self, partition: int, values: Mapping[bytes, bytes]) -> int:
        """Send customers to the changelog; returns the offset of the last."""
        ...


async def process(
    slices: Sequence[Slice],
    decoders: Mapping[str, Decoder],
    states: States,
    outputs: Outputs,
    reconciler: AlertReconciler,
    processed: dict[str, int],
    accept: Accept = lambda _slices, _seen: None,
    policy: RiskPolicy = PRIORS,
    suppressed: Suppressed = frozenset(),
) -> FoldResult:
    """Steps 1 to 4 for slices of one partition. The caller holds the partition for itself and does step 5."""
    partition = slices[0].partition
    result = fold(slices, decoders, states, reconciler, processed, policy, suppressed, accept)  # 1, 2
    await deliver(partition, result, states, outputs)  # 3, 4
    return result  # 5: the caller's


async def deliver(partition: int, result: FoldResult, states: States, outputs: Outputs) -> None:
    """Steps 3 and 4."""
    dead = result.dead
    if result.news or dead:
        await outputs.effects(partition, result.news, dead)  # 3
    if result.pieces:
        last = await outputs.pieces(partition, result.pieces)  # 4
        states.write(partition, result.pieces, last)
    if result.changed:
        last = await outputs.states(partition, result.changed)
        states.write(partition, result.changed, last)
