"""What can never work, or not safely, is refused when it is added; the refusal shows nothing secret."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.errors import Refused
from pipeline.webhooks.endpoint_rules import CREDENTIALS, check
from pipeline.webhooks.endpoints import Endpoint, Shape
from pipeline.webhooks.signing import Secret
from tests.webhooks.alerts import NOW, endpoint_at

OURS = [("127.0.0.1", 9464), ("metrics.internal", 9465), ("0.0.0.0", 8443)]
PUBLIC = replace(endpoint_at("https://hooks.example.com/loyalty?team=1"), allow_private=False)
URLS = {
    "ftp": ("ftp://hooks.example.com/", "https://"),
    "no scheme": ("hooks.example.com/x", "https://"),
    "no host": ("https:///x", "https://|is none"),
    "a user": ("https://hunter2@hooks.example.com/", "names a user"),
    "a user and a password": ("https://desk:hunter2@hooks.example.com/", "names a user"),
    "an empty user": ("https://@hooks.example.com/", "names a user"),
    "a user that looks like a host": ("https://hooks.example.com:hunter2@127.0.0.1/", "names a user"),
    "a fragment": ("https://hooks.example.com/#hunter2", "fragment"),
    "a line end": ("https://hooks.example.com/\r\nHost: hunter2", "printable"),
    "a NUL": ("https://hooks.example.com/\0hunter2", "printable"),
    "a backslash": ("https://hooks.example.com\\@127.0.0.1/", "printable"),
    "a letter outside ASCII": ("https://①②⑦.⓪.⓪.①/", "printable"),
    "too long": ("https://hooks.example.com/" + "a" * 2000, "2000"),
    "a port that is none": ("https://hooks.example.com:99999/", "is none"),
    "plain http": ("http://hooks.example.com/", "plain http"),
    "a private address": ("https://10.0.0.1/", "not a public address"),
    "the metadata of a cloud": ("https://169.254.169.254/latest/meta-data", "not a public address"),
    "loopback": ("https://127.0.0.1/", "not a public address"),
    "loopback of IPv6": ("https://[::1]/", "not a public address"),
    "the name of loopback": ("https://localhost/", "not a public address"),
    "another name of loopback": ("https://a.LOCALHOST./", "not a public address"),
    "a mapped address": ("https://[::ffff:127.0.0.1]/", "in disguise"),
    "NAT64": ("https://[64:ff9b::a9fe:a9fe]/", "in disguise"),
    "6to4": ("https://[2002:7f00:1::]/", "in disguise"),
    "hexadecimal": ("https://0x7f000001/", "unusual way"),
    "short": ("https://127.1/", "unusual way"),
    "decimal": ("https://2130706433/", "unusual way"),
    "octal": ("https://0177.0.0.1/", "unusual way"),
}
HEADERS = {
    "a line end": {"X-Team": "a\r\nX-Admin: hunter2"},
    "a line feed": {"X-Team": "a\nhunter2"},
    "a NUL": {"X-Team": "a\0hunter2"},
    "a letter outside ASCII": {"X-Team": "hünter2"},
    "nothing": {"X-Team": ""},
    "too long": {"X-Team": "a" * 2001},
    "a name with a line end": {"X-Team\r\nX": "1"},
    "a name with a colon": {"X-Team:": "1"},
    "no name": {"": "1"},
    "Host": {"Host": "hunter2"},
    "host in another case": {"hOST": "hunter2"},
    "Content-Length": {"Content-Length": "0"},
    "Content-Type": {"content-type": "text/html"},
    "a header of the signature": {"Webhook-Signature": "v1,hunter2"},
    "Transfer-Encoding": {"Transfer-Encoding": "chunked"},
    "Connection": {"Connection": "close"},
    "a proxy's": {"Proxy-Authorization": "hunter2"},
    "twice": {"X-Team": "1", "x-team": "2"},
}


def refusal(endpoint: Endpoint) -> str:
    with pytest.raises(Refused) as refused:
        check(endpoint, OURS)
    return str(refused.value)


@pytest.mark.parametrize("shape", CREDENTIALS)
def test_an_endpoint_as_it_should_be_is_accepted(shape: Shape) -> None:
    url = "https://hooks.example.com/" if shape in ("jira", "zendesk") else PUBLIC.url
    check(replace(endpoint_at(url, shape), allow_private=False, headers={"X-Team": "care & loyalty"}), OURS)


@pytest.mark.parametrize(("url", "why"), URLS.values(), ids=URLS)
def test_a_url_that_cannot_be_used_safely_is_refused(url: str, why: str) -> None:
    said = refusal(replace(PUBLIC, url=url))
    assert re.search(why, said)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/", "http://localhost:8080/", "https://10.0.0.1/", "http://[::1]/"]
)
def test_a_private_address_is_accepted_where_that_is_allowed(url: str) -> None:
    check(replace(PUBLIC, url=url, allow_private=True), OURS)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://example.com/", "http://notlocalhost/"])
def test_plain_http_leaves_no_machine_even_where_private_addresses_are_allowed(url: str) -> None:
    assert "plain http" in refusal(replace(PUBLIC, url=url, allow_private=True))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9464/", "http://localhost:9464/metrics", "http://127.0.0.2:9464/", "http://[::1]:9464/",
        "https://metrics.internal:9465/", "https://METRICS.internal:9465/", "https://127.0.0.1:8443/",
    ],
)  # fmt: skip
def test_our_own_port_is_refused_however_it_is_named(url: str) -> None:
    assert "our own port" in refusal(replace(PUBLIC, url=url, allow_private=True))


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_not_ones_own_or_ends_a_line_is_refused(headers: dict[str, str]) -> None:
    assert "hunter2" not in refusal(replace(PUBLIC, headers=headers))


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_headers_that_are_accepted_can_stand_in_a_request(name: str, value: str) -> None:
    """Whatever is accepted is one line of printable ASCII."""
    try:
        check(replace(PUBLIC, headers={name: value}), OURS)
    except Refused:
        return
    line = f"{name}: {value}"
    assert line.isascii()
    assert line.isprintable()
    assert line.count(":") >= 1
    assert value == value.strip()


@pytest.mark.parametrize("shape", ["pagerduty", "jira", "zendesk"])
def test_missing_unknown_and_broken_credentials_are_refused_by_name(shape: Shape) -> None:
    whole = replace(endpoint_at("https://site.example/", shape), allow_private=False)
    for name in CREDENTIALS[shape][0]:
        rest = {other: value for other, value in whole.credentials.items() if other != name}
        assert f"needs the credential {name}" in refusal(replace(whole, credentials=rest))
        for broken in ("", "hunter2\n", "hünter2"):
            said = refusal(replace(whole, credentials={**whole.credentials, name: broken}))
            assert name in said
            assert "hunter2" not in said
    assert "no use for: password" in refusal(replace(whole, credentials={**whole.credentials, "password": "hunter2"}))


def test_credentials_that_would_change_a_query_or_the_header_are_refused() -> None:
    jira = replace(endpoint_at("https://site.example/", "jira"), allow_private=False)
    for change in ({"project": 'CARE" OR project = "HR'}, {"project": "care"}, {"user": "desk:hunter2"}):
        assert "hunter2" not in refusal(replace(jira, credentials={**jira.credentials, **change}))
    assert "credentials" in refusal(replace(jira, headers={"authorization": "Bearer hunter2"}))
    assert "site alone" in refusal(replace(jira, url="https://site.example/browse"))


@pytest.mark.parametrize("secrets", [(), (Secret(value="whsec_hunter2", since=NOW),)])
def test_our_own_shape_needs_a_secret_as_the_specification_has_it(secrets: tuple[Secret, ...]) -> None:
    assert "hunter2" not in refusal(replace(PUBLIC, secrets=secrets))


@pytest.mark.parametrize("name", ["", "Desk", "a b", "a" * 41, "desk\n", "../desk"])
def test_an_id_that_is_none_is_refused(name: str) -> None:
    assert "id is" in refusal(replace(PUBLIC, id=name))
