"""The one-command stack: broker, warehouse, worker, sink and notifier on one data directory.

Rules
-----
- One stack per data directory; a lock file says so, and the kernel drops the lock when the process dies.
- Everything listens on loopback. Ports are probed before anything is started.
- ``stack.json`` in the data directory tells other commands where things are while the stack runs.
"""

import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
import psutil
from confluent_kafka import KafkaException

from pipeline import kafka, metrics
from pipeline.config import Settings, variable
from pipeline.errors import Refused, Transient
from pipeline.local import broker, jars
from pipeline.local.processes import STOP_SECONDS, Child, stop_all
from pipeline.local.record import RECORD
from pipeline.local.supervision import FREE_MB_NEEDED, Supervision
from pipeline.loopback import fetched
from pipeline.surroundings import for_java, like_us


class Ports(NamedTuple):
    """One port of the stack and the option that changes it."""

    port: int
    owner: str
    option: str


def ports(settings: Settings) -> list[Ports]:
    """Every port the stack listens on."""
    kafka_port = int(settings.kafka.rsplit(":", 1)[1])
    warehouse_port = urlsplit(settings.clickhouse).port or 8123
    return [
        Ports(kafka_port, "broker", "--kafka-port"),
        Ports(settings.controller_port, "broker's controller", "--controller-port"),
        Ports(warehouse_port, "warehouse", "--warehouse-port"),
        *(
            Ports(port, f"{name} metrics", "--metrics-port")
            for name, port in (
                ("worker", settings.worker_metrics_port),
                ("sink", settings.sink_metrics_port),
                ("warehouse", settings.warehouse_metrics_port),
                ("stack", settings.up_metrics_port),
                ("notifier", settings.notifier_metrics_port),
            )
        ),
        *(
            [Ports(settings.inbound_port, "notifier's outcomes", "LOYALTY_INBOUND_PORT")]
            if settings.inbound_port
            else []
        ),
    ]


def unwatched_seconds(directory: Path) -> float:
    """How long ago the processes of the stack that runs there were last looked at."""
    try:
        return max(0.0, time.time() - (directory / "lock").stat().st_mtime)
    except OSError:
        return 0.0


class Stack:
    """Starts, watches and stops the processes; ``say`` is told what a person should know."""

    def __init__(self, settings: Settings, say: Callable[[str], None], *, own_broker: bool = True) -> None:
        self._settings = settings
        self._say = say
        self._own_broker = own_broker
        self._directory = settings.directory
        self._lock: Any = None
        self._claimed = False
        self._supervision: Supervision | None = None
        self._facts: metrics.UpMetrics | None = None
        self.children: dict[str, Child] = {}

    def start(self, fetching: Callable[[int, int], None]) -> None:
        """Start everything and wait until it is ready; on failure nothing is left running."""
        self._claim_directory()
        self._claimed = True
        try:
            self._end_leftovers()
            self._check_surroundings()
            folder = jars.ensure(self._settings.kafka_jars, fetching) if self._own_broker else Path()
            self._serve_metrics()
            self._make_children(folder)
            self._start_stage([name for name in ("broker", "warehouse") if name in self.children])
            created = kafka.create_topics(self._settings)
            if created:
                self._say(f"topics     created: {', '.join(created)}")
            self._start_stage(["worker", "sink", "notifier"])
        except BaseException:
            self.stop()
            raise
        self._supervision = Supervision(self._directory, self.children, self._facts, self._say, self._write_record)
        self._supervision.start()

    def _claim_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self._directory / "lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"a stack already runs on {self._directory}; use it, stop it, or choose another --data-dir"
            ) from None
        except OSError as failed:
            raise Refused(f"{self._directory} cannot be used: {failed.strerror}; choose another --data-dir") from None

    def _end_leftovers(self) -> None:
        """Processes of a stack that was killed outright are on their way out; see them off before we start."""
        try:
            known = orjson.loads((self._directory / RECORD).read_bytes())["processes"].values()
        except (OSError, ValueError, KeyError):
            return
        left = []
        for entry in known:
            try:
                process = psutil.Process(entry["pid"])
            except (psutil.Error, TypeError, ValueError):
                continue
            if abs(process.create_time() - entry["started"]) < 1:
                process.terminate()
                left.append(process)
        _, stubborn = psutil.wait_procs(left, timeout=STOP_SECONDS)
        for process in stubborn:
            process.kill()

    def _check_surroundings(self) -> None:
        free = shutil.disk_usage(self._directory).free // 1_000_000
        if free < FREE_MB_NEEDED:
            raise Refused(
                f"{self._directory} has {free} MB free, {FREE_MB_NEEDED} MB are needed; "
                "free some, or choose another --data-dir"
            )
        for port, owner, option in ports(self._settings):
            if owner.startswith("broker") and not self._own_broker:
                continue
            if not _is_free(port):
                raise Refused(
                    f"port {port} ({owner}) is taken by another program; stop it, or choose another: "
                    f"loyalty up {option} PORT"
                )

    def _serve_metrics(self) -> None:
        made = metrics.registry("up")
        metrics.serve(made, self._settings.listen, self._settings.up_metrics_port)
        self._facts = metrics.UpMetrics(made)
        for name in ("broker", "warehouse", "worker", "sink", "notifier"):
            self._facts.given_up(name, given_up=False)

    def _make_children(self, folder: Path) -> None:
        settings, logs = self._settings, self._directory / "logs"
        if self._own_broker:
            data = self._directory / "kafka"
            self.children["broker"] = Child(
                "broker",
                lambda: broker.prepare(settings, data, folder),
                lambda: _answers(settings),
                logs / "broker.log",
                for_java(os.environ) | {variable("data_dir"): str(self._directory)},
                data,
            )
        ready: dict[str, Callable[[], bool]] = {
            "warehouse": lambda: _pings(settings),
            "worker": lambda: _has_metric(settings.worker_metrics_port, "loyalty_ready 1.0"),
            "sink": lambda: _has_metric(settings.sink_metrics_port, "loyalty_sink_ready 1.0"),
            "notifier": lambda: _has_metric(settings.notifier_metrics_port, "loyalty_notifier_ready 1.0"),
        }
        for name, is_ready in ready.items():
            own = os.environ | like_us() | settings.with_changes(instance=f"{name}-0").as_env()
            self.children[name] = Child(
                name,
                lambda n=name: (sys.executable, "-P", "-m", "pipeline", n),  # type: ignore[misc]
                is_ready,
                logs / f"{name}.log",
                own,
            )

    def _start_stage(self, names: list[str]) -> None:
        for name in names:
            self.children[name].start()
        for name in names:
            seconds = self.children[name].wait_ready()
            self._note_up(name, up=True)
            self._say(f"{name:<10} ready after {seconds:.1f} s   {self._address(name)}")
        self._write_record()

    def _address(self, name: str) -> str:
        return {
            "broker": self._settings.kafka,
            "warehouse": self._settings.clickhouse,
            "worker": f"metrics http://127.0.0.1:{self._settings.worker_metrics_port}/metrics",
            "sink": f"metrics http://127.0.0.1:{self._settings.sink_metrics_port}/metrics",
            "notifier": f"metrics http://127.0.0.1:{self._settings.notifier_metrics_port}/metrics",
        }[name]

    def _write_record(self) -> None:
        known = {
            "pid": os.getpid(),
            "settings": self._settings.as_env(),
            "processes": {name: child.record() for name, child in self.children.items()},
        }
        part = self._directory / f"{RECORD}.part"
        part.write_bytes(orjson.dumps(known))
        part.replace(self._directory / RECORD)

    def _note_up(self, name: str, *, up: bool) -> None:
        if self._facts is not None:
            self._facts.running(name, up)

    def stop(self) -> None:
        """Stop everything, those that work first; nothing is left running."""
        if not self._claimed:
            return
        self._claimed = False
        if self._supervision is not None:
            self._supervision.stop()
        named = self.children.get
        stop_all(
            [[c for c in map(named, stage) if c] for stage in (("worker", "sink", "notifier"), ("warehouse", "broker"))]
        )
        (self._directory / RECORD).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()


@contextmanager
def running(
    settings: Settings, say: Callable[[str], None], fetching: Callable[[int, int], None], *, own_broker: bool = True
) -> Iterator[Stack]:
    """A stack for the time of a ``with`` block."""
    stack = Stack(settings, say, own_broker=own_broker)
    stack.start(fetching)
    try:
        yield stack
    finally:
        stack.stop()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(settings: Settings) -> bool:
    try:
        return bool(kafka.metadata(settings, 1.0).brokers)
    except (Transient, KafkaException):
        return False


def _pings(settings: Settings) -> bool:
    return fetched(f"{settings.clickhouse}/ping") == "Ok.\n"


def _has_metric(port: int, line: str) -> bool:
    return f"\n{line}\n" in fetched(f"http://127.0.0.1:{port}/metrics")
