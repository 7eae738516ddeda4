"""The judge of addresses refuses what any registry reserves, however it is written; another table agrees."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssrfguard import DEFAULT_DENIED

from pipeline.webhooks.addresses import RESERVED_4, RESERVED_6, UNICAST, is_own, refused
from tests.examples import examples

WRAPPINGS = {
    "mapped (RFC 4291)": lambda inner: (0xFFFF << 32) | inner,
    "compatible (RFC 4291)": lambda inner: inner,
    "translated (RFC 2765)": lambda inner: (0xFFFF << 48) | inner,
    "NAT64 (RFC 6052)": lambda inner: (0x64FF9B << 96) | inner,
    "local NAT64 (RFC 8215)": lambda inner: (0x64FF9B0001 << 80) | inner,
    "6to4 (RFC 3056)": lambda inner: (0x2002 << 112) | (inner << 80) | 1,
    "Teredo server (RFC 4380)": lambda inner: (0x20010000 << 96) | (inner << 64) | 0xF7F7F7F7,
    "Teredo client (RFC 4380)": lambda inner: (0x20010000 << 96) | (0x08080808 << 64) | (inner ^ 0xFFFFFFFF),
    "ISATAP (RFC 5214)": lambda inner: (0x2A000000 << 96) | (0x5EFE << 32) | inner,
    "ISATAP, unique (RFC 5214)": lambda inner: (0x2A000000 << 96) | (0x02005EFE << 32) | inner,
}
REFUSED = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "192.0.0.1",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "2001:db8::1", "3fff::1", "2001:2::1", "100::1", "5f00::1", "4000::1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:127.0.0.1", "64:ff9b:1::a9fe:a9fe",
]  # fmt: skip
ALLOWED = [
    "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.255",
    "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
]  # fmt: skip
NO_ADDRESS = ["", "localhost", "0x7f000001", "127.1", "2130706433", "0177.0.0.1", "1.2.3.4 ", "::g", "1.2.3.4/8"]
PRIVATE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "0.0.0.0"]
any_address = (
    st.integers(0, 2**32 - 1).map(IPv4Address)
    | st.integers(0, 2**128 - 1).map(IPv6Address)
    | st.tuples(st.sampled_from([network for network, _ in RESERVED_4]), st.integers(0, 2**32 - 1)).map(
        lambda drawn: drawn[0][drawn[1] % drawn[0].num_addresses]
    )
    | st.tuples(st.sampled_from(list(WRAPPINGS.values())), st.integers(0, 2**32 - 1)).map(
        lambda drawn: IPv6Address(drawn[0](drawn[1]))
    )
)
"""Addresses of both kinds, many of them reserved or wrapped."""


@pytest.mark.parametrize("address", [*REFUSED, *NO_ADDRESS])
def test_what_is_reserved_or_no_address_is_refused(address: str) -> None:
    assert refused(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_what_is_public_is_allowed(address: str) -> None:
    assert refused(address) is None


@pytest.mark.parametrize("inner", PRIVATE)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_private_address_is_refused_in_every_wrapping(wrapping: str, inner: str) -> None:
    assert refused(str(IPv6Address(WRAPPINGS[wrapping](int(IPv4Address(inner))))))


@settings(max_examples=examples(1000), deadline=None)
@given(any_address)
def test_what_another_table_refuses_is_refused(address: IPv4Address | IPv6Address) -> None:
    """ssrfguard, made from IANA's registries by others; only what 2000::/3 and ISATAP add is refused here alone."""
    ours, theirs = refused(str(address)), DEFAULT_DENIED.classify(address)
    if theirs.blocked:
        assert ours, theirs.reason
    elif ours:
        assert _is_stricter_here(address)


def _is_stricter_here(address: IPv4Address | IPv6Address) -> bool:
    """Anycast relays of protocols, deprecated or local translations, and ISATAP: nobody receives webhooks there."""
    if isinstance(address, IPv4Address):
        return address in ip_network("192.0.0.0/24")
    inside = [network for network, _ in RESERVED_6] + [IPv6Network("2002:c000::/40")]
    isatap = (int(address) >> 32) & 0xFFFFFFFF in (0x5EFE, 0x02005EFE)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    return address not in UNICAST or isatap or any(address in network for network in inside) or _is_stricter_here(last)


@given(st.text())
def test_the_judge_answers_about_any_text(text: str) -> None:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        assert refused(text) == "not an address"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"])
def test_every_address_of_this_machine_is_ours_on_a_port_of_ours(address: str) -> None:
    assert is_own(address, 8080, [("127.0.0.1", 8080)])
    assert not is_own(address, 8081, [("127.0.0.1", 8080)])


def test_every_address_of_an_interface_is_ours_and_no_other() -> None:
    """psutil asks the system for its interfaces, the judge asks where packets would come from."""
    families = (socket.AF_INET, socket.AF_INET6)
    addresses = [one.address for found in psutil.net_if_addrs().values() for one in found if one.family in families]
    assert addresses
    assert [address for address in addresses if not is_own(address, 80, [("0.0.0.0", 80)])] == []
    assert not is_own("8.8.8.8", 80, [("0.0.0.0", 80)])
    assert not is_own("example.com", 80, [("0.0.0.0", 80)])
