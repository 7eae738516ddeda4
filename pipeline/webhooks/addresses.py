"""To which addresses a webhook may be sent, judged on the very address a connection is made to.

Rules
-----
- A name is looked up once, by the client; each address it may connect to is judged in the moment its socket is made, so
  there is no second look-up that could answer differently (DNS rebinding).
- An IPv4 address inside an IPv6 one is unwrapped and judged, however it is wrapped: what counts is where packets end.
- Of IPv6 only 2000::/3 is allowed, the addresses that are given out, and IPv4 addresses that are only written as IPv6;
  of IPv4 what no registry reserves.
- Our own ports are refused even where private addresses are allowed: an alert must not come back as an event.

Sources: the IANA registries of special-purpose addresses (RFC 6890); wrapped addresses: RFC 4291 2.5.5 (mapped,
compatible), RFC 2765 (translated), RFC 6052 (NAT64), RFC 8215 (local NAT64), RFC 3056 (6to4), RFC 5214
(ISATAP).
"""

import errno
import socket
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import aiohttp

UNICAST: Final = IPv6Network("2000::/3")
"""The IPv6 addresses that are given out to anybody."""
RESERVED_4: Final = tuple(
    (IPv4Network(network), meaning)
    for network, meaning in (
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared between providers (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link local, where clouds keep their metadata (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "for protocols (RFC 6890)"),
        ("192.0.2.0/24", "for documentation (RFC 5737)"),
        ("192.88.99.0/24", "a withdrawn relay (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "for benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "for documentation (RFC 5737)"),
        ("203.0.113.0/24", "for documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
    )
)
RESERVED_6: Final = tuple(
    (IPv6Network(network), meaning)
    for network, meaning in (
        ("2001::/23", "for protocols, Teredo among them (RFC 2928, RFC 4380)"),
        ("2001:db8::/32", "for documentation (RFC 3849)"),
        ("3fff::/20", "for documentation (RFC 9637)"),
    )
)
_TRANSLATED: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4 addresses as IPv6 writes them: what they hold decides."""
_LAST_32_BITS: Final = (
    *_TRANSLATED,
    *(IPv6Network(network) for network in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")),
)
"""Where the last 32 bits are an IPv4 address."""
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""What stands before the IPv4 address in the lower half of an address."""


def refused(address: str) -> str | None:
    """Why no webhook may be sent to an address, ``None`` when it may. What is no address is refused."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    return _refused_4(parsed) if isinstance(parsed, IPv4Address) else _refused_6(parsed)


def _refused_6(address: IPv6Address) -> str | None:
    if address.is_loopback or address.is_unspecified:
        return "loopback (RFC 4291)"
    for inner in _unwrapped(address):
        if why := _refused_4(inner):
            return f"{inner} in disguise: {why}"
    if any(address in network for network in _TRANSLATED):
        return None
    if address not in UNICAST:
        return "no public address (RFC 4291)"
    return next((meaning for network, meaning in RESERVED_6 if address in network), None)


def _refused_4(address: IPv4Address) -> str | None:
    return next((meaning for network, meaning in RESERVED_4 if address in network), None)


def _unwrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses inside an IPv6 address."""
    bits = int(address)
    last = IPv4Address(bits & 0xFFFFFFFF)
    if any(address in network for network in _LAST_32_BITS) or (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        yield last
    if address in _SIX_TO_FOUR:
        yield IPv4Address((bits >> 80) & 0xFFFFFFFF)


def is_own(address: str, port: int, listens: Collection[tuple[str, int]]) -> bool:
    """Whether we listen ourselves at an address and port; on a port of ours, every address of this machine counts."""
    if port not in {own for _, own in listens}:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    inner: list[IPv4Address | IPv6Address] = [parsed]
    if isinstance(parsed, IPv6Address):
        inner += _unwrapped(parsed)
    return any(_is_of_this_machine(one) for one in inner)


def _is_of_this_machine(address: IPv4Address | IPv6Address) -> bool:
    """Whether packets to an address stay here: what is sent to an own address comes from it. Nothing is sent."""
    if address.is_loopback or address.is_unspecified:
        return True
    try:
        [(family, kind, protocol, _, place)] = socket.getaddrinfo(
            str(address), 9, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)
            return int(ip_address(probe.getsockname()[0])) == int(address)
    except OSError:  # no way to it
        return False


class AddressRefused(OSError):
    """No connection may be made to this address."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EACCES, why)


def connector(allow_private: bool, listens: Collection[tuple[str, int]] = ()) -> aiohttp.TCPConnector:
    """A connector that makes no socket for an address that is refused.

    Parameters
    ----------
    allow_private
        Whether private addresses may be connected to.
    listens
        Our own hosts and ports, which may never be.
    """

    def made(info: aiohttp.AddrInfoType) -> socket.socket:
        """The socket for one address of a look-up; whoever calls connects it to that address and no other."""
        family, kind, protocol, _, place = info
        host, port = str(place[0]), int(place[1])
        scope = f"%{place[3]}" if len(place) == 4 and place[3] and "%" not in host else ""
        if not allow_private and (why := refused(host)):
            raise AddressRefused(why)
        if is_own(host + scope, port, listens):
            raise AddressRefused("our own port")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(limit=0, socket_factory=made)
