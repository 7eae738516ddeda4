"""The embedded warehouse as a process of its own for tests, and a proxy in front of it that can be made to fail."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pipeline.config import Settings
from tests.stacks import eventually, free_ports

Way = Callable[[bytes, threading.Event], None]


class Embedded:
    """One warehouse process on a data directory; started again it finds its data."""

    def __init__(self, directory: Path) -> None:
        port, metrics = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._log = directory / "warehouse.log"
        settings = Settings().with_changes(clickhouse=self.url, data_dir=str(directory), warehouse_metrics_port=metrics)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._env = kept | settings.as_env()
        directory.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Embedded":
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "warehouse"],
                env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, 60, "the warehouse answers")
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Proxy:
    """A TCP proxy: it can hold every insert up, or deliver one and cut the connection instead of its answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.slow = 0.0
        self.cuts = 0
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", free_ports(1)[0]))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            insert = threading.Event()
            for source, target, way in ((client, server, self._ask), (server, client, self._answer)):
                threading.Thread(target=self._pipe, args=(source, target, way, insert), daemon=True).start()

    def _pipe(self, source: socket.socket, target: socket.socket, way: Way, insert: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                way(data, insert)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _ask(self, data: bytes, insert: threading.Event) -> None:
        if b"insert_deduplication_token" in data:
            insert.set()

    def _answer(self, data: bytes, insert: threading.Event) -> None:
        """The answer to an insert comes when the engine has written it."""
        if not insert.is_set():
            return
        insert.clear()
        time.sleep(self.slow)
        if self.cut < self.cuts:
            self.cut += 1
            raise ConnectionAbortedError

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.close()
