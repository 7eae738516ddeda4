"""Nobody ends in silence: threads begin again or end their process, and what cannot be printed ends nothing."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import watched
from pipeline.exits import Exit
from pipeline.logs import PER_MINUTE, RepeatedMessages
from tests.stacks import eventually, free_ports

FAILURES: list[Callable[[], BaseException]] = [
    lambda: OSError(28, "No space left on device"),
    lambda: KeyError("topic"),
    lambda: SystemExit(1),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["full disk", "missing topic", "closed terminal by rich"])
def test_who_only_looks_begins_again_after_whatever_it_died_of(failure: Callable[[], BaseException]) -> None:
    begun, deaths, stopping = [0], [0], threading.Event()

    def work() -> None:
        begun[0] += 1
        if begun[0] == 1:
            raise failure()
        stopping.wait(30)

    def died() -> None:
        deaths[0] += 1

    thread = watched.live_again("looking", work, died, stopping)
    eventually(lambda: begun[0] == 2, 10, "the second beginning")
    assert deaths[0] == 1
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()


def run(script: str, stderr: str | None = None) -> subprocess.CompletedProcess[str]:
    with Path(stderr or "/dev/null").open("w") as sink:
        return subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=sink if stderr else subprocess.PIPE,
            text=True, timeout=240, check=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("failure", "code"),
    [("KeyError('topic')", Exit.CRASHED), ("SystemExit(0)", Exit.CRASHED), ("Refused('no')", Exit.REFUSED)],
)
def test_what_the_guarantees_rest_on_ends_its_process_with_the_reason(failure: str, code: Exit) -> None:
    script = (
        "import time\n"
        "from pipeline import logs, watched\n"
        "from pipeline.errors import Refused\n"
        "logs.configure('x')\n"
        f"def work(): raise {failure}\n"
        "watched.live_or_end('pulse', work)\n"
        "time.sleep(20)"
    )
    done = run(script)
    assert done.returncode == code
    assert "pulse died, and the process with it" in done.stderr
    assert run(script, stderr="/dev/full").returncode == code, "also where the reason cannot be written"


def test_a_timer_that_fails_ends_its_process_unless_that_is_stopping() -> None:
    script = (
        "import asyncio\n"
        "from pipeline import watched\n"
        "async def work(): raise KeyError('topic')\n"
        "asyncio.run(watched.or_end('tick', work(), lambda: STOPPING))\n"
        "print('went on')"
    )
    assert run(script.replace("STOPPING", "False")).returncode == Exit.CRASHED
    assert run(script.replace("STOPPING", "True")).stdout == "went on\n"


def test_a_cancelled_timer_ends_nothing() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(watched.or_end("tick", asyncio.sleep(30), lambda: False))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_lines_for_a_full_disk_are_lost_and_nothing_else() -> None:
    script = (
        "import logging, sys, structlog\n"
        "from pipeline import logs\n"
        "logs.configure('x')\n"
        "structlog.get_logger().warning('a')\n"
        "logging.getLogger('b').error('c')\n"
        "print('d', file=sys.stderr, flush=True)\n"
        "print('went on')"
    )
    done = run(script, stderr="/dev/full")
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_metrics_server_outlives_a_thread_that_died() -> None:
    script = (
        "import threading, time, urllib.request\n"
        "from prometheus_client import exposition\n"
        "from pipeline import metrics, watched\n"
        "watched.FIRST_PAUSE = 0.1\n"
        "served = []\n"
        "def serve(self, poll_interval=0.5):\n"
        "    served.append(1)\n"
        "    if len(served) == 1: raise OSError(28, 'No space left on device')\n"
        "    import socketserver; socketserver.BaseServer.serve_forever(self, poll_interval)\n"
        "exposition.ThreadingWSGIServer.serve_forever = serve\n"
        "metrics.serve(metrics.registry('x'), '127.0.0.1', PORT)\n"
        "text = urllib.request.urlopen('http://127.0.0.1:PORT/metrics', timeout=10).read().decode()\n"
        "print('loyalty_build_info' in text)"
    )
    assert run(script.replace("PORT", str(free_ports(1)[0]))).stdout == "True\n"


def test_a_reader_that_stops_reading_holds_nobody_up() -> None:
    script = (
        "from pipeline.cli.printing.voice import Voice\n"
        "voice = Voice()\n"
        "for _ in range(5_000): voice.say('x' * 200)\n"
        "voice.finish(0.2)\n"
        "print('went on', flush=True)\n"
        "import os; os._exit(0)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as silent:
        assert silent.stdout is not None
        assert silent.stdout.readline() == b"went on\n"
        silent.kill()


def test_of_one_kind_of_line_a_few_are_written_in_a_minute_and_the_rest_is_counted() -> None:
    now = [0.0]
    repeats = RepeatedMessages(lambda: now[0])
    said = [repeats.admit("away") for _ in range(500)]
    assert said[: PER_MINUTE - 1] == [{}] * (PER_MINUTE - 1)
    assert "repeated" in (said[PER_MINUTE - 1] or {})
    assert said[PER_MINUTE:] == [None] * (500 - PER_MINUTE)
    assert repeats.admit("another") == {}
    now[0] = 61.0
    assert repeats.admit("away") == {"left_out": 500 - PER_MINUTE}
    assert repeats.admit("away") == {}


def test_a_library_that_says_the_same_with_other_numbers_is_held_to_it() -> None:
    script = (
        "import logging, structlog\n"
        "from pipeline import logs\n"
        "logs.configure('x')\n"
        "for n in range(1000):\n"
        "    logging.getLogger('aiokafka').error(f'Unable to connect to node {n} at 0x{n:x}')\n"
        "    structlog.get_logger().warning('the broker does not answer; waiting', error=str(n))\n"
        "    structlog.get_logger().critical('always')\n"
    )
    lines = run(script).stderr.splitlines()
    assert sum("aiokafka" in line for line in lines) == PER_MINUTE
    assert sum("waiting" in line for line in lines) == PER_MINUTE
    assert sum("always" in line for line in lines) == 1000
