"""A field for fault tests: a Kafka, a topic prefix of its own, workers and sinks as processes, traffic, and waiting.

Every process runs the installed program with an environment of its own, logs into the test's directory, and is ended
with the test.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import KafkaException

from pipeline import kafka
from pipeline.config import Settings
from pipeline.core.risk.alerts import alert_id
from pipeline.crashpoints import VARIABLE
from pipeline.errors import LoyaltyError
from pipeline.exits import Exit
from pipeline.operations.lag import wait_until_done
from pipeline.simulate.population import FIRST_DAY, simulated
from tests.stacks import PATIENCE, QUIET, eventually, free_ports

Sent = tuple[str, bytes, bytes]
"""Logical topic, key and value of a record."""


class Running:
    """One process of the program."""

    def __init__(
        self,
        kind: str,
        env: Mapping[str, str],
        log: Path,
        metrics: int,
        gauge: str,
        program: Sequence[str] = (),
        before_fault: Callable[[], None] = lambda: None,
    ) -> None:
        self.kind, self.log, self.metrics = kind, log, metrics
        self._before_fault = before_fault
        self._program = program or ("-m", "pipeline", kind)
        self._env, self._gauge = dict(env), gauge
        self.starts = 0
        self.start()

    def start(self, **more: str) -> "Running":
        """Start it (again), with more in its environment."""
        self.starts += 1
        if (self._env | more).get(VARIABLE):
            self._before_fault()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._program],
                env=self._env | more, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def wait_ready(self, seconds: float = 60) -> "Running":
        """Wait until it says that it consumes."""
        eventually(
            lambda: self.metric(self._gauge) == 1 or not self.alive, seconds, f"{self.kind} ready: {self.tail()}"
        )
        assert self.alive, self.tail()
        return self

    def wait_dead(self, seconds: float = 120) -> int:
        """Wait until it has ended; its exit code."""
        return self.process.wait(PATIENCE * seconds)

    def kill(self) -> None:
        """End it without a word."""
        self._before_fault()
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 20) -> int:
        """Ask it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE * seconds)

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if number == signal.SIGSTOP:
            self._before_fault()
        if self.alive:
            os.kill(self.process.pid, number)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 when it cannot be asked."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def said(self) -> list[dict[str, Any]]:
        """Its log lines that are JSON."""
        whole, _, _ = self.log.read_text(errors="replace").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@contextmanager
def supervised(*watched: Running) -> Iterator[None]:
    """Start processes again whenever they end, as a supervisor does."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            for running in watched:
                if not running.alive:
                    running.start()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()


def rebuilt(field: "Field", *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``loyalty rebuild``, and again where it says that this helps: on a slow machine somebody may come back."""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "rebuild", "--yes", *options],
            env=os.environ | field.settings.as_env() | more, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        if done.returncode != Exit.AWAY:
            break
    return done


class Field:
    """Processes and traffic on one Kafka under one topic prefix."""

    def __init__(
        self, directory: Path, bootstrap: str, replication: int = 1, clickhouse: str = "", **more: Any
    ) -> None:
        self.directory = directory
        name = f"t{random.randrange(10**9)}"
        self.settings = Settings().with_changes(
            kafka=bootstrap, topic_prefix=f"{name}.", database=name, replication=replication,
            clickhouse=clickhouse or None, data_dir=str(directory), **more,
        )  # fmt: skip
        self.running: list[Running] = []
        self.grown = False
        """Whether a log of some size lies in the topics, see :mod:`tests.faults.volume`."""
        kafka.create_topics(self.settings)

    def worker(self, instance: str = "", program: Sequence[str] = (), **more: str) -> Running:
        """A worker; ``more`` goes into its environment, ``program`` runs another than the product's.

        It does nothing by itself when a day passes, unless ``more`` says so: states are compared with events alone.
        """
        return self._run("worker", "loyalty_ready", instance, QUIET | more, program)

    def sink(self, instance: str = "", program: Sequence[str] = (), clickhouse: str = "", **more: str) -> Running:
        """A sink; ``program`` runs another than the product's, ``clickhouse`` is an address of its own."""
        own = {"LOYALTY_CLICKHOUSE": clickhouse} if clickhouse else {}
        return self._run("sink", "loyalty_sink_ready", instance, own | more, program)

    def notifier(self, instance: str = "", **more: str) -> Running:
        """A notifier; ``more`` goes into its environment."""
        return self._run("notifier", "loyalty_notifier_ready", instance, more)

    def warehouse(self) -> Running:
        """The embedded warehouse, at the address of the settings."""
        return self._run("warehouse", "", "", {})

    def _run(
        self, kind: str, gauge: str, instance: str, more: Mapping[str, str], program: Sequence[str] = ()
    ) -> Running:
        port = free_ports(1)[0]
        log = self.directory / f"{kind}-{len(self.running)}.log"
        own = self.settings.with_changes(instance=instance, **{f"{kind}_metrics_port": port}).as_env()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        if any(other.kind == kind and other.alive for other in self.running):
            self._check_grown()  # there will be a rebalance
        self.running.append(Running(kind, kept | own | dict(more), log, port, gauge, program, self._check_grown))
        return self.running[-1]

    def _check_grown(self) -> None:
        """Nobody is killed, frozen or made to share on a toy's log: much does not go wrong there."""
        assert self.grown, "this happens on a log of some size only; take a fixture that is `grown`"

    def send(self, events: Iterator[Sent], rate: float | None = None, stop: threading.Event | None = None) -> int:
        """Send records as any producer with Kafka's partitioner would; returns how many."""
        producer = kafka.producer(self.settings, "traffic")
        started, count = time.monotonic(), 0
        for count, (topic, key, value) in enumerate(events, start=1):
            while True:
                try:
                    producer.produce(self.settings.topic(topic), value, key)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            producer.poll(0)
            if rate is not None and count % 50 == 0:
                time.sleep(max(0.0, started + count / rate - time.monotonic()))
            if stop is not None and stop.is_set():
                break
        assert producer.flush(120) == 0
        return count

    def sending(self, events: Iterator[Sent], rate: float) -> threading.Thread:
        """Send in the background."""
        thread = threading.Thread(target=self.send, args=(events, rate), daemon=True)
        thread.start()
        return thread

    def wait_done(self, process: str = "worker", seconds: float = 120) -> None:
        """Wait until the workers (or sinks) have finished everything that was sent."""
        end = time.monotonic() + PATIENCE * seconds
        while True:
            try:
                wait_until_done(self.settings, process, max(1.0, end - time.monotonic()))
            except (LoyaltyError, KafkaException) as failed:
                if time.monotonic() > end:
                    tails = "\n".join(running.tail() for running in self.running)
                    pytest.fail(f"{failed}\n{tails}")
                time.sleep(0.5)
            else:
                return

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, over plain HTTP."""
        url = f"{self.settings.clickhouse}/?database={self.settings.database}&default_format=JSONEachRow"
        request = urllib.request.Request(url, data=sql.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def end(self) -> None:
        """Leave nothing running."""
        for running in self.running:
            if running.alive:
                running.process.kill()
                running.process.wait(10)


def traffic(
    customers: int,
    seed: int = 1,
    days: int = 400,
    repeated: float = 0.02,
    broken: float = 0.005,
    first_day: date = FIRST_DAY,
) -> Iterator[Sent]:
    """The full event mix of a synthetic population in time order, with outcomes, repeated events and broken ones.

    ``repeated`` and ``broken`` are shares of the records. A repeated event follows its first a little later.
    """
    chance = random.Random(seed)
    later: list[Sent] = []
    for number, (topic, event) in enumerate(simulated(customers, days, seed, first_day)):
        key = str(event["customer_id"]).encode()
        record = (topic, key, orjson.dumps(event))
        yield record
        if topic == "service-contacts" and chance.random() < 0.1:
            yield "alert-outcomes", key, orjson.dumps(_outcome(event, number))
        if chance.random() < repeated:
            later.append(record)
        if chance.random() < broken:
            yield topic, key, chance.choice([b"", b"{", b"\xff\xfe", b'{"event_id":1}', record[2][:-20]])
        if later and chance.random() < repeated:
            yield later.pop(0)
    yield from later


def _outcome(contact: dict[str, Any], number: int) -> dict[str, Any]:
    results = ("retained", "lost", "unreachable", "not_needed", "in_progress")
    return {
        "event_id": f"o-{number}",
        "customer_id": contact["customer_id"],
        "occurred_at": contact["occurred_at"],
        "alert_id": alert_id(str(contact["customer_id"]), str(contact["issue_id"])),
        "action": "called",
        "result": results[number % len(results)],
        "synthetic": True,
    }
