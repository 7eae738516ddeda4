"""Connections within this machine: direct, without any proxy, and never to themselves.

A port from the range of outgoing connections (32768 and up on Linux) may be given to our own connection while nobody
listens on it. TCP then connects it to itself: it looks as if somebody answered, and whoever wants to listen there finds
the port taken.
"""

import errno
import http.client
import os
import socket
import struct
import urllib.request
from urllib.parse import urlsplit

_GONE_AT_ONCE = struct.pack("ii", 1, 0)


def reached(host: str, port: int, seconds: float = 3) -> None:
    """Return when somebody listens there.

    Raises
    ------
    OSError
        Nobody does.
    """
    with socket.create_connection((host, port), seconds) as made:
        if made.getsockname() == made.getpeername():
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _GONE_AT_ONCE)
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def fetched(url: str, seconds: float = 2) -> str:
    """What an address of our own says, nothing when it says nothing."""
    address = urlsplit(url)
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        reached(address.hostname or "", address.port or 80, seconds)
        with straight.open(url, timeout=seconds) as answer:
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException):
        return ""
