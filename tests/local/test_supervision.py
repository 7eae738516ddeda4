"""Whoever ends is started again; what keeps it from running is said, and tried again until it is gone."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from pipeline import metrics
from pipeline.local.processes import MAX_LOG_BYTES, Child
from pipeline.local.supervision import GIVE_UP_AFTER, LONGEST_PAUSE, Supervision, pause_after, reason_of_end

WAITS = "import time; print('it waits', flush=True); time.sleep(60)"


class World:
    """One process under supervision, with a clock of our own and what was said and written."""

    def __init__(self, folder: Path, script: str, is_ready: Callable[[], bool] = lambda: True) -> None:
        self.made = CollectorRegistry()
        self.child = Child("sink", lambda: (sys.executable, "-c", script), is_ready, folder / "sink.log", {})
        self.said: list[str] = []
        self.written: list[dict[str, object]] = []
        self.full = False
        (folder / "lock").touch()
        self.supervision = Supervision(
            folder, {"sink": self.child}, metrics.UpMetrics(self.made), self.said.append, self._write
        )
        self.child.start()
        self.now = self.child.started

    def _write(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.written.append(self.child.record())

    def metric(self, name: str) -> float | None:
        return self.made.get_sample_value(f"loyalty_process_{name}", {"process": "sink"})

    def ended(self) -> None:
        """Its process ends, and is looked at."""
        assert self.child.process is not None
        self.child.process.wait(20)
        self.look(0)

    def look(self, seconds: float) -> None:
        """Look again after so long."""
        self.now += seconds
        self.supervision.look(self.now)

    def end(self) -> None:
        if self.child.process is not None:
            self.child.process.kill()
            self.child.process.wait(10)


def test_a_process_that_refuses_is_named_with_its_reason_and_comes_back_when_the_cause_is_gone(tmp_path: Path) -> None:
    cause = tmp_path / "cause"
    cause.touch()
    script = (
        f"import os, sys, time\nif os.path.exists({str(cause)!r}): print('loyalty: mend it'); sys.exit(4)\n"
        "time.sleep(60)"
    )
    world = World(tmp_path, script)
    try:
        world.ended()
        assert world.written[-1] | {"pid": 0} == {"pid": 0, "started": 0.0, "restarts": 0, "given_up": True,
                                                  "reason": "mend it"}  # fmt: skip
        assert (world.metric("up"), world.metric("given_up")) == (0, 1)
        assert "mend it; tried again" in world.said[0]
        for _ in range(5):
            world.look(LONGEST_PAUSE)
            world.ended()
        assert len(world.said) == 1, "the same again is not said again"
        cause.unlink()
        world.look(LONGEST_PAUSE)
        assert (world.metric("up"), world.metric("given_up")) == (1, 1), "it has to show that it runs"
        world.look(5)
        assert (world.metric("up"), world.metric("given_up")) == (1, 0)
        assert world.written[-1]["reason"] == ""
        assert "runs again" in world.said[-1]
    finally:
        world.end()


def test_a_full_disk_keeps_nobody_from_being_started_again_and_is_made_up_for(tmp_path: Path) -> None:
    world = World(tmp_path, "raise SystemExit(7)")
    try:
        world.full = True
        world.ended()
        world.look(1)
        assert world.child.restarts == 1
        assert world.written == []
        world.full = False
        world.look(0)
        assert world.written[-1]["restarts"] == 1
    finally:
        world.end()


def test_a_process_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path, WAITS)
    log = world.child.log
    try:
        world.end()
        world.child.log = tmp_path / "lock" / "sink.log"  # below a file nothing can be made
        world.look(0)
        world.look(1)
        assert "cannot be started" in str(world.written[-1]["reason"])
        world.child.log = log
        world.look(LONGEST_PAUSE)
        assert world.child.exit_code() is None
    finally:
        world.end()


def test_the_pause_grows_and_never_ends_in_giving_up_for_ever() -> None:
    assert [pause_after(n, refused=False) for n in range(1, GIVE_UP_AFTER + 1)] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert [pause_after(n, refused=False) for n in (6, 7, 8, 9, 1_000)] == [5, 10, 20, 30, 30]
    assert [pause_after(n, refused=True) for n in (1, 2, 3, 4, 1_000)] == [5, 10, 20, 30, 30]


def test_who_was_killed_gave_no_reason() -> None:
    assert reason_of_end(-9, "worker ready") == "died (killed by signal 9)"
    assert reason_of_end(70, "KeyError") == "died (exit code 70): KeyError"
    assert reason_of_end(4, "loyalty: mend it") == "mend it"


def test_a_log_that_grows_is_set_aside_while_its_process_writes_on(tmp_path: Path) -> None:
    world = World(tmp_path, "import sys\nfor line in sys.stdin: pass")
    try:
        with world.child.log.open("ab") as writing:
            writing.write(b"x" * MAX_LOG_BYTES + b"\nloyalty: mend it\n")
            writing.flush()
            world.look(2)
            assert world.child.log.stat().st_size == 0
            assert "mend it" in world.child.last_words()
            writing.write(b"more\n")
            writing.flush()
        assert world.child.log.read_bytes() == b"more\n"
        assert sum(path.stat().st_size for path in tmp_path.glob("sink.log*")) < 1.01 * MAX_LOG_BYTES
    finally:
        world.end()


def test_where_no_file_can_grow_processes_are_started_again_all_the_same(tmp_path: Path) -> None:
    """The limit on file sizes fails a write where a full disk would; the stack's own record cannot be written."""
    script = f"""
import json, pathlib, resource, signal, sys, time
from pipeline.config import Settings
from pipeline.local import stack
from pipeline.local.processes import Child
from pipeline.local.supervision import Supervision
folder = pathlib.Path({str(tmp_path)!r})
(folder / "lock").touch()
made = stack.Stack(Settings(data_dir=str(folder)), print)
command = (sys.executable, "-c", "import time; time.sleep(60)")
child = Child("sink", lambda: command, lambda: True, folder / "l/sink.log", {{}})
made.children["sink"] = child
child.start()
watching = Supervision(folder, made.children, None, print, made._write_record)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
watching.start()
for restarts in (1, 2):
    child.process.kill()
    end = time.monotonic() + 20
    while child.restarts < restarts and time.monotonic() < end: time.sleep(0.05)
unwritten = not (folder / "stack.json").exists()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
end = time.monotonic() + 20
while not (folder / "stack.json").exists() and time.monotonic() < end: time.sleep(0.05)
watching.stop()
child.process.kill()
written = json.loads((folder / "stack.json").read_text())["processes"]["sink"]["restarts"]
print(json.dumps([child.restarts, unwritten, written]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
    assert json.loads(done.stdout.splitlines()[-1]) == [2, True, 2], done.stderr
