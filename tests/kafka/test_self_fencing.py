"""A worker that was frozen ends before it sends anything; one that is busy does not."""

import signal
import subprocess
import sys
import time

import pytest

from pipeline.exits import Exit

SILENT = """
from pipeline.kafka import self_fencing as pulse
class Silent(pulse.Pulse):
    def _beat(self): pass
"""
"""A pulse without its thread: only who asks notices anything."""
FROZEN = "the worker was frozen"


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize(
    ("seconds", "code", "said"),
    [(6.0, 0, "went on"), (7.0, Exit.FROZEN, FROZEN)],
    ids=["a pause", "a standstill"],
)
def test_the_first_to_ask_after_a_standstill_ends_the_process(seconds: float, code: int, said: str) -> None:
    done = run(f"{SILENT}\np = Silent()\np._last -= {seconds}\np.check()\nprint('went on')")
    assert done.returncode == code
    assert said in done.stdout
    assert (FROZEN in done.stdout) != ("went on" in done.stdout)


def test_a_process_that_was_frozen_ends_although_nobody_asks() -> None:
    script = (
        "import time\n"
        "from pipeline.kafka import self_fencing as pulse\n"
        "pulse.STANDSTILL_SECONDS = 1.0\n"
        "pulse.Pulse()\n"
        "print('begun', flush=True)\n"
        "time.sleep(15)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert process.wait(10) == Exit.FROZEN
        assert FROZEN in process.stdout.read()


def test_a_long_slice_is_no_standstill() -> None:
    script = (
        "import time\n"
        "from pipeline.kafka import self_fencing as pulse\n"
        "pulse.STANDSTILL_SECONDS = 1.5\n"
        "p = pulse.Pulse()\n"
        "end = time.monotonic() + 2.5\n"
        "while time.monotonic() < end: pass\n"
        "p.check()\n"
        "print('went on')"
    )
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "went on\n")


@pytest.mark.parametrize("call", ["effects(0, [], [])", "states(0, {b'a': b'1'})"])
def test_nothing_is_handed_to_the_producer_after_a_standstill(call: str) -> None:
    script = (
        f"{SILENT}\n"
        "import asyncio\n"
        "from pipeline.config import Settings\n"
        "from pipeline.crashpoints import CrashPoints\n"
        "from pipeline.worker import outputs\n"
        "class Telling(outputs.KafkaOutputs):\n"
        "    def _send_effects(self, *_): print('sent')\n"
        "    def _send_states(self, *_): print('sent')\n"
        "outputs.Pulse = Silent\n"
        "made = Telling(Settings(kafka='127.0.0.1:1'), CrashPoints())\n"
        "made._pulse._last -= 7.0\n"
        f"asyncio.run(made.{call})"
    )
    done = run(script)
    assert (done.returncode, "sent" in done.stdout) == (Exit.FROZEN, False), done.stderr
