"""Stacks for tests: the installed command on free ports and a directory of its own, always ended with the test."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

READY = "Running. Try"
QUIET = {"LOYALTY_TICK_SECONDS": "86400"}
"""A worker that does nothing by itself when a day passes: what it says is a function of events alone."""
PATIENCE = 4
"""How many times as long as on an ordinary machine a test waits: none fails because a machine is slow."""


PORTS = "loyalty-test-ports"
"""The folder of locks on ports."""
_taken: list[IO[bytes]] = []
"""Locks on the ports that this process gave to its tests: another process of the run gets others."""


def free_ports(count: int) -> list[int]:
    """Neighbouring ports nobody uses right now, below those the system gives to outgoing connections."""
    while True:
        first = random.randrange(20_000, 32_000 - count)
        ports = list(range(first, first + count))
        if all(map(_is_free, ports)):
            return ports


def _is_free(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / PORTS
    folder.mkdir(exist_ok=True)
    lock = (folder / str(port)).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _taken.append(lock)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def eventually(claim: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a claim holds; on an ordinary machine that takes at most ``seconds``."""
    end = time.monotonic() + PATIENCE * seconds
    while not claim():
        assert time.monotonic() < end, f"not within {PATIENCE * seconds} s: {what}"
        time.sleep(0.1)


NETWORK = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""How a machine reaches the network: a firm's proxy, its own authorities. Kafka's jars are fetched through it."""


class Stack:
    """``loyalty up`` or ``loyalty demo`` as a child process, and the command to look at it."""

    def __init__(self, loyalty: Path, directory: Path, arguments: Sequence[str] = ("up",)) -> None:
        self.loyalty = loyalty
        self.directory = directory
        kafka, controller, warehouse, self.metrics, *_ = free_ports(8)
        self.kafka, self.warehouse = f"127.0.0.1:{kafka}", f"http://127.0.0.1:{warehouse}"
        self.arguments = [*arguments, "--data-dir", str(directory), "--kafka-port", str(kafka), "--controller-port",
                          str(controller), "--warehouse-port", str(warehouse), "--metrics-port",
                          str(self.metrics)]  # fmt: skip
        self.settings: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    def environment(self) -> dict[str, str]:
        """Only what a program needs, nothing of the checkout."""
        kept = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", *NETWORK)
        return {name: os.environ[name] for name in kept if name in os.environ} | {"COLUMNS": "200"} | self.settings

    def start(self, seconds: float = 90) -> "Stack":
        """Start it and wait until it says that it runs."""
        self.lines = []
        self.process = subprocess.Popen(
            [str(self.loyalty), *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment(), cwd="/",
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        eventually(lambda: self._said(READY) or self.process is None or self.process.poll() is not None, seconds, READY)
        assert self._said(READY), "".join(self.lines)
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)

    def _said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def run(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command against this stack."""
        return subprocess.run(
            [str(self.loyalty), *arguments, "--data-dir", str(self.directory)],
            capture_output=True, text=True, timeout=PATIENCE * seconds, env=self.environment(), cwd="/", check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        """What a command says to a program."""
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, over plain HTTP."""
        request = urllib.request.Request(
            f"{self.warehouse}/?database=loyalty&default_format=JSONEachRow", data=sql.encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def pid_of(self, name: str) -> int:
        """The process id of one of its children."""
        return int(json.loads((self.directory / "stack.json").read_text())["processes"][name]["pid"])

    def kill(self, name: str) -> None:
        """End one of its children without a word."""
        os.kill(self.pid_of(name), signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end; returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE * 60)
        self.process = None
        return code

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for process in children_of(self.directory):
            process.kill()


def children_of(directory: Path) -> list[psutil.Process]:
    """Processes that work on a data directory, or on one below it."""
    return [process for process in psutil.process_iter() if _works_on(process, directory)]


def _works_on(process: psutil.Process, directory: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        named = str(directory) in " ".join(process.cmdline())
        return named or Path(process.environ().get("LOYALTY_DATA_DIR", "/")).is_relative_to(directory)
    except (psutil.Error, OSError):
        return False
