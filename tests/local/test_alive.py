"""A stack whose terminal is gone: whoever dies comes back, and whoever is dead, frozen, stuck or refused is never "ok".

One stack for all of it, whose output nobody has read since it started.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from pipeline import kafka
from pipeline.config import Settings
from pipeline.warehouse.client import connect
from tests.stacks import READY, Stack, eventually

PROCESSES = ("worker", "sink", "notifier", "broker", "warehouse")


class Unread(Stack):
    """``loyalty up | head``: its output is closed as soon as it runs."""

    def start(self, seconds: float = 90) -> "Unread":
        self.process = subprocess.Popen(
            [str(self.loyalty), *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment(), cwd="/",
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if READY in line:
                break
        else:
            pytest.fail("".join(self.lines))
        self.process.stdout.close()
        return self

    @property
    def settings_inside(self) -> Settings:
        return Settings().with_changes(kafka=self.kafka, clickhouse=self.warehouse, data_dir=str(self.directory))

    def metric(self, step: int, name: str) -> float | None:
        """A metric of the worker (0), the sink (1), the warehouse (2) or the stack (3); ``None``: there is none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics + step}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name]
        return found[0] if found else None

    def is_well(self) -> bool:
        return self.run("status").returncode == 0

    def is_up(self, name: str) -> bool:
        return self.metric(3, f'loyalty_process_up{{process="{name}"}}') == 1

    def why_of(self, name: str) -> str:
        """What ``status`` finds wrong with a process."""
        return str(next(entry["why"] for entry in self.json("status")["processes"] if entry["process"] == name))

    def say_of_both(self, *texts: str) -> None:
        """Status and doctor both say it, and both fail, within a bound."""
        for command in ("status", "doctor"):
            done = self.run(command, seconds=100)
            assert done.returncode == 1, f"{command}: {done.stdout}"
            shown = done.stdout.replace(": frozen. ", " frozen: ").replace(": given up. ", " given up: ")
            assert not [text for text in texts if text not in shown], f"{command}: {done.stdout}"


@pytest.fixture(scope="module")
def unread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unread]:
    made = Unread(Path(sys.executable).parent / "loyalty", tmp_path_factory.mktemp("unread"))
    try:
        yield made.start()
    finally:
        made.end()


@pytest.fixture(autouse=True)
def well(unread: Unread) -> None:
    """Each test begins with everything well."""
    eventually(unread.is_well, 90, "everything is well")


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_the_doctor_finds_nothing_wrong_either(unread: Unread) -> None:
    done = unread.run("doctor")
    assert done.returncode == 0, done.stdout


def test_whoever_is_killed_comes_back_although_nobody_reads(unread: Unread) -> None:
    for name in PROCESSES:
        before = unread.pid_of(name)
        unread.kill(name)
        eventually(lambda n=name, b=before: unread.pid_of(n) != b, 30, f"a new {name}")  # type: ignore[misc]
        eventually(lambda n=name: unread.is_up(n), 30, f"{name} is up")  # type: ignore[misc]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("worker", "sink"), id="worker+sink"),
        *(pytest.param((name,), id=name, marks=pytest.mark.extended) for name in ("broker", "warehouse")),
    ],
)
def test_who_is_frozen_is_said_by_status_and_doctor(unread: Unread, names: tuple[str, ...]) -> None:
    with frozen(*map(unread.pid_of, names)):
        unread.say_of_both(*(f"{name} frozen" for name in names))


@pytest.mark.extended
def test_a_supervisor_that_is_frozen_is_said(unread: Unread) -> None:
    assert unread.process is not None
    with frozen(unread.process.pid):
        unread.say_of_both("supervisor frozen")


@pytest.mark.extended
def test_a_sink_that_refuses_is_said_with_its_reason_and_comes_back_when_the_cause_is_gone(unread: Unread) -> None:
    warehouse = connect(unread.settings_inside)
    warehouse.command("INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'later', 'x')")
    unread.kill("sink")
    eventually(lambda: unread.metric(3, 'loyalty_process_given_up{process="sink"}') == 1, 60, "the sink refuses")
    assert not unread.is_up("sink")
    unread.say_of_both("has migration 9999", "sink given up")
    warehouse.command("ALTER TABLE schema_migrations DELETE WHERE number = 9999 SETTINGS mutations_sync = 2")
    eventually(unread.is_well, 90, "the sink is back")
    assert unread.metric(3, 'loyalty_process_given_up{process="sink"}') == 0


@pytest.mark.extended
def test_a_warehouse_that_does_not_answer_shows_in_the_sinks_own_figures(unread: Unread) -> None:
    with frozen(unread.pid_of("warehouse")):
        send(unread)
        eventually(lambda: unread.metric(1, "loyalty_sink_paused") == 1, 40, "the sink waits")
        eventually(lambda: lag(unread) > 0, 10, "what is not written is lag")
        assert "waits for ClickHouse" in unread.why_of("sink")
    eventually(lambda: unread.metric(1, "loyalty_sink_paused") == 0, 60, "the sink goes on")
    eventually(lambda: lag(unread) == 0, 60, "and has written everything")


def lag(stack: Unread) -> float:
    topics = ("purchases",)
    return sum(
        stack.metric(1, f'loyalty_sink_lag_records{{partition="{n}",topic="{topic}"}}') or 0.0
        for topic in topics
        for n in range(4)
    )


def send(stack: Unread) -> None:
    """A purchase of one customer."""
    producer = kafka.producer(stack.settings_inside, "test")
    name = f"c{time.time_ns()}"
    event = {"event_id": name, "customer_id": name, "occurred_at": "2025-06-01T12:00:00Z", "order_id": name,
             "amount": "5.00", "currency": "EUR", "quantity": 1}  # fmt: skip
    producer.produce("purchases", orjson.dumps(event), name.encode())
    assert producer.flush(20) == 0


def test_a_stack_whose_output_is_closed_stops_as_it_should(unread: Unread) -> None:
    """The last of the module."""
    assert unread.stop() == 0
