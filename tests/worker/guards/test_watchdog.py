"""A worker that stands still ends itself; one that is slow, ready, or was suspended does not."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pipeline.exits import Exit
from pipeline.worker.guards.watchdog import Watchdog


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_recovery_without_progress_is_stuck_and_one_with_progress_is_not(loop: asyncio.AbstractEventLoop) -> None:
    seen = [0]
    dog = Watchdog(loop, lambda: seen[0], patience=10)
    now = time.monotonic()
    dog._ticked_at = now + 100
    assert dog.reason(now) is None
    assert dog.reason(now + 9) is None
    seen[0] = 1
    assert dog.reason(now + 11) is None
    assert dog.reason(now + 22) == "recovery makes no progress"


def test_a_ready_worker_with_nothing_to_do_is_not_stuck(loop: asyncio.AbstractEventLoop) -> None:
    dog = Watchdog(loop, lambda: 0, patience=10)
    dog.became_ready(ready=True)
    now = time.monotonic()
    dog._ticked_at = now + 100
    assert dog.reason(now + 100) is None
    dog.became_ready(ready=False)
    assert dog.reason(now + 100) == "recovery makes no progress"


def test_a_blocked_event_loop_ends_the_process() -> None:
    script = (
        "import asyncio, time\n"
        "from pipeline.worker.guards.watchdog import Watchdog\n"
        "async def main():\n"
        "    dog = Watchdog(asyncio.get_running_loop(), lambda: 0, patience=2)\n"
        "    dog.became_ready(True)\n"
        "    dog.start()\n"
        "    await asyncio.sleep(3.5)\n"
        "    time.sleep(30)\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == Exit.STUCK
    assert "the event loop is blocked" in done.stdout + done.stderr
