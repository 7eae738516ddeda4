"""The embedded warehouse as a process of its own for tests, and a proxy in front of it that can be made to fail."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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

    def forget(self, database: str) -> None:
        """Drop a database: hundreds of tables that nobody asks still take their share of the machine."""
        if self._answers():
            urllib.request.urlopen(self.url, f"DROP DATABASE IF EXISTS {database} SYNC".encode(), timeout=30).close()

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


class Complaining:
    """An HTTP proxy that answers inserts with one of ClickHouse's errors, before or after they were written."""

    def __init__(self, port: int) -> None:
        self.error: tuple[int, str] | None = None
        """Code and text of the error; ``None``: inserts pass."""
        self.after = False
        """Whether the insert was written when the error comes."""
        self.complaints = 0
        self._target = port
        handler = type("Handler", (_Passing,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def answered(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer to a request."""
        error = self.error if "insert_deduplication_token" in path else None
        if error is not None and not self.after:
            return self._complaint(*error)
        answer = self._passed_on(path, body, headers)
        return answer if error is None else self._complaint(*error)

    def _complaint(self, code: int, text: str) -> tuple[int, bytes, dict[str, str]]:
        self.complaints += 1
        return 500, f"Code: {code}. DB::Exception: {text}\n".encode(), {"X-ClickHouse-Exception-Code": str(code)}

    def _passed_on(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION}
            return answer.status, answer.read(), kept
        finally:
            connection.close()

    def close(self) -> None:
        """Accept nothing more."""
        self._server.shutdown()
        self._server.server_close()


_OF_THE_CONNECTION = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class _Passing(BaseHTTPRequestHandler):
    """Requests with their whole body, answers with theirs."""

    protocol_version = "HTTP/1.1"
    owner: Complaining

    def do_POST(self) -> None:
        """A statement."""
        body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._sized()
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        status, answer, headers = self.owner.answered(self.path, body, kept)
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(answer))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def _sized(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""
