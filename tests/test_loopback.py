"""Connections within this machine: past every proxy, and never to themselves."""

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer

import pytest

from pipeline import loopback

NARROW = """
import pathlib, socket, subprocess
from pipeline import loopback
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40003", encoding="ascii")
refused = 0
for _ in range(40):
    try:
        loopback.reached("127.0.0.1", 40002, 1)
    except OSError:
        refused += 1
    with socket.socket() as broker:
        broker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        broker.bind(("127.0.0.1", 40002))
met = 0
for _ in range(40):
    try:
        with socket.create_connection(("127.0.0.1", 40002), 1) as made:
            met += made.getsockname() == made.getpeername()
    except OSError:
        pass
print(met > 0, refused)
"""


def test_a_probe_never_meets_itself_and_leaves_the_port_free() -> None:
    """In a network of its own where almost every outgoing connection gets the port it asks for."""
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    done = subprocess.run(
        [*own, sys.executable, "-c", NARROW], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout == "True 40\n", done.stderr


class _Says(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"straight")

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Nameless(HTTPServer):
    """Does not ask for the name of its address: where no name server answers, that takes minutes."""

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("proxied")
def test_no_proxy_is_asked_for_an_address_of_this_machine() -> None:
    with _Nameless(("127.0.0.1", 0), _Says) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert loopback.fetched(f"http://127.0.0.1:{server.server_port}/") == "straight"
        server.shutdown()


def test_who_does_not_speak_http_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:

        def answer() -> None:
            for _ in range(2):
                asked, _ = mute.accept()
                with asked:
                    asked.sendall(b"what?\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert loopback.fetched(f"http://127.0.0.1:{mute.getsockname()[1]}/") == ""


def test_nobody_listens_is_an_error_and_nothing() -> None:
    with pytest.raises(ConnectionRefusedError):
        loopback.reached("127.0.0.1", 1)
    assert loopback.fetched("http://127.0.0.1:1/metrics") == ""
