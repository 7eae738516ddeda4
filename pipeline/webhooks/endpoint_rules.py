"""What is refused when an endpoint is added, before anything is looked up.

Rules
-----
- HTTPS; plain HTTP only to this machine. Nothing in a URL that names somebody, is never sent, or is read differently by
  different programs.
- An address that is written out is judged at once, and has to be written as addresses are: ``127.1`` and ``0x7f000001``
  are the same address to a resolver and not to a reader.
- A header of one's own replaces none that we or the protocol need, and cannot end a line.
- A refusal names the place and the rule, never a value that may be secret.
"""

import re
import socket
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from yarl import URL

from pipeline.errors import Refused
from pipeline.webhooks.addresses import is_own, refused
from pipeline.webhooks.endpoints import Endpoint, Shape
from pipeline.webhooks.signing import key_of

CREDENTIALS: Final[dict[Shape, tuple[frozenset[str], frozenset[str]]]] = {
    "standard": (frozenset(), frozenset()),
    "alertmanager": (frozenset(), frozenset()),
    "pagerduty": (frozenset({"routing_key"}), frozenset()),
    "jira": (frozenset({"user", "token", "project"}), frozenset({"issue_type"})),
    "zendesk": (frozenset({"user", "token"}), frozenset()),
    "slack": (frozenset(), frozenset()),
    "teams": (frozenset(), frozenset()),
}
"""Which credentials a shape needs, and which it can have besides."""
MOST_CHARACTERS: Final = 2000
_RESERVED: Final = frozenset(
    {"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "cookie"}
    | {"accept-encoding", "idempotency-key"}
)
_RESERVED_PREFIXES: Final = ("content-", "webhook-", "proxy-", "sec-")
_ID = re.compile(r"[a-z0-9-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(rf"[!-~](?:[ -~]{{0,{MOST_CHARACTERS - 2}}}[!-~])?")
_PROJECT = re.compile(r"[A-Z][A-Z0-9_]{1,254}")
_LOCAL_NAME = re.compile(r"(?:.*\.)?localhost\.?", re.IGNORECASE)
"""This machine, by RFC 6761."""


def check(endpoint: Endpoint, listens: Collection[tuple[str, int]]) -> None:
    """Refuse an endpoint that could never be used, or not safely.

    Parameters
    ----------
    listens
        The hosts and ports at which we listen ourselves.

    Raises
    ------
    Refused
        It says what is wrong with it, and shows nothing secret.
    """
    if not _ID.fullmatch(endpoint.id):
        raise Refused("an endpoint's id is 1 to 40 of a-z, 0-9 and -")
    _check_url(endpoint, listens)
    _check_headers(endpoint)
    _check_credentials(endpoint)
    if endpoint.shape == "standard" and not endpoint.secrets:
        raise Refused(f"{endpoint.id} has no secret to sign with; let `loyalty webhooks rotate` make one")
    for secret in endpoint.secrets:
        key_of(secret)


def _check_url(endpoint: Endpoint, listens: Collection[tuple[str, int]]) -> None:
    where = f"the URL of {endpoint.id}"
    if not re.fullmatch(rf"[!-~]{{1,{MOST_CHARACTERS}}}", endpoint.url) or "\\" in endpoint.url:
        raise Refused(f"{where} is to be 1 to {MOST_CHARACTERS} printable ASCII characters without spaces and \\")
    try:
        url = URL(endpoint.url)
        host, port = url.host, url.port
    except ValueError:
        raise Refused(f"{where} is none") from None
    if url.scheme not in ("http", "https") or not host or not port:
        raise Refused(f"{where} has to begin with https:// and a host")
    if "@" in endpoint.url.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise Refused(f"{where} names a user; put what lets us in into a header, it is kept with the secrets")
    if "#" in endpoint.url:
        raise Refused(f"{where} has a fragment (#), which is never sent")
    if endpoint.shape in ("jira", "zendesk") and (url.raw_path.strip("/") or url.raw_query_string):
        raise Refused(f"{where} is to be that of the site alone, such as https://example.atlassian.net")
    _check_host(endpoint, host, port, listens)
    if url.scheme == "http" and not _is_loopback(host):
        raise Refused(f"{where} is plain http, which anybody on the way can read; use https")


def _check_host(endpoint: Endpoint, host: str, port: int, listens: Collection[tuple[str, int]]) -> None:
    where = f"the URL of {endpoint.id}"
    address = _address(host)
    if address is None and _is_a_disguise(host):
        raise Refused(f"{where} writes an address in an unusual way; write it as four decimal numbers with dots")
    if address is None and not _LOCAL_NAME.fullmatch(host):
        if (host.lower(), port) in {(own.lower(), number) for own, number in listens}:
            raise Refused(f"{where} is our own port {port}")
        return
    address = address or "127.0.0.1"
    if is_own(address, port, listens):
        raise Refused(f"{where} is our own port {port}")
    if not endpoint.allow_private and (why := refused(address)):
        raise Refused(f"{where} is not a public address: {why}; allow private addresses for it if that is meant")


def _address(host: str) -> str | None:
    """A host that is written as an address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _is_a_disguise(host: str) -> bool:
    """Whether a resolver takes a host for an IPv4 address that is written otherwise: shorter, hexadecimal, octal."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return ip_address(address).is_loopback if address else bool(_LOCAL_NAME.fullmatch(host))


def _check_headers(endpoint: Endpoint) -> None:
    seen: set[str] = set()
    for name, value in endpoint.headers.items():
        lower = name.lower()
        if not _NAME.fullmatch(name) or lower in seen:
            raise Refused(f"a header of {endpoint.id} has a name that is none, or twice the same")
        if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
            raise Refused(f"the header {name} of {endpoint.id} is ours or the protocol's to set")
        if lower == "authorization" and CREDENTIALS[endpoint.shape][0] >= {"user", "token"}:
            raise Refused(f"the header {name} of {endpoint.id} is made from its credentials")
        if not _VALUE.fullmatch(value):
            raise Refused(
                f"the header {name} of {endpoint.id} is to be 1 to {MOST_CHARACTERS} printable ASCII characters"
            )
        seen.add(lower)


def _check_credentials(endpoint: Endpoint) -> None:
    needed, possible = CREDENTIALS[endpoint.shape]
    names = endpoint.credentials.keys()
    if missing := sorted(needed - names):
        raise Refused(f"{endpoint.id} needs the credential {missing[0]} for {endpoint.shape}")
    if unknown := sorted(names - needed - possible):
        raise Refused(f"{endpoint.id} has a credential that {endpoint.shape} has no use for: {unknown[0]}")
    for name, value in endpoint.credentials.items():
        if not _VALUE.fullmatch(value) or (name == "user" and ":" in value):
            raise Refused(f"the credential {name} of {endpoint.id} is not 1 to {MOST_CHARACTERS} printable characters")
    if not _PROJECT.fullmatch(endpoint.credentials.get("project", "OK")):
        raise Refused(f"the project of {endpoint.id} is to be Jira's key of it, such as CARE")
