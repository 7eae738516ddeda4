"""How long and how often what failed is tried again: every policy of ours, carried out by stamina.

Rules
-----
- Who retries names the exceptions that may pass; anything else is raised at once, and the last failure when time is up.
- Nothing is logged or counted here: what is said of a failure is part of what is tried.
- stamina is loaded at the first use: a command that asks for help needs none.
"""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")
MayPass = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""The exceptions after which it is tried again, or who knows."""


class Policy(NamedTuple):
    """Seconds: the total after which no attempt begins (``None``: for ever), and those between attempts."""

    total: float | None
    pause: float
    jitter: float = 0.0
    """Up to so much is added to a pause by chance."""
    longest: float | None = None
    """Pauses double up to this; ``None``: they do not grow."""


# What is tried again                    total  pause  jitter  longest
LEADER = Policy(10.0, 0.2, 0.05)  # a partition that was just created or moved has no leader for a moment
SPREAD = Policy(10.0, 0.2, 0.05)  # a new topic becomes known to all brokers
GROUP = Policy(30.0, 0.3, 0.05)  # a broker that has just started does not know who coordinates a group
COORDINATOR = Policy(30.0, 0.2, 0.05)  # the coordinator of a group nobody has heard of yet
ERASED_LIST = Policy(10.0, 0.2, 0.05)  # where the list of erased customers ends
ASSIGNMENT = Policy(60.0, 0.5, 0.1)  # where the sinks stand, asked inside a rebalance
BROKER_AWAY = Policy(None, 1.0, 0.1)  # a worker that runs waits for its broker
SWAP = Policy(None, 0.5, 0.1)  # whether states are being swapped
INSERT = Policy(None, 0.2, 0.2, longest=10.0)  # an insert whose fate is unknown must be repeated


def retry(policy: Policy, on: MayPass, call: Callable[[], Result]) -> Result:
    """Call until it does not fail, or time is up; the thread sleeps in between."""
    try:
        return _stamina().RetryingCaller(**_arguments(policy))(on, call)  # type: ignore[no-any-return]
    except Exception as failed:  # any: raised again
        _let_go(failed)
        raise


async def retry_async(policy: Policy, on: MayPass, call: Callable[[], Awaitable[Result]]) -> Result:
    """As :func:`retry`, in an event loop, which goes on in between."""
    try:
        return await _stamina().AsyncRetryingCaller(**_arguments(policy))(on, call)  # type: ignore[no-any-return]
    except Exception as failed:  # any: raised again
        _let_go(failed)
        raise


def _arguments(policy: Policy) -> dict[str, Any]:
    grows = policy.longest is not None
    return {
        "attempts": None,
        "timeout": policy.total,
        "wait_initial": policy.pause,
        "wait_max": policy.longest if grows else policy.pause + policy.jitter,
        "wait_jitter": policy.jitter,
        "wait_exp_base": 2 if grows else 1,
    }


def _stamina() -> Any:
    import stamina  # noqa: PLC0415
    from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415

    set_on_retry_hooks(())
    return stamina


def _let_go(failed: BaseException) -> None:
    """Break the circle of the failure and the frames that know it: clients in it live until the collector comes."""
    traceback.clear_frames(failed.__traceback__)
