"""Signatures are those of Standard Webhooks 1.0.0; the specification's own library agrees about each."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from pipeline.core.contract.moments import instant
from pipeline.errors import Refused
from pipeline.webhooks.signing import (
    ID,
    PREFIX,
    SIGNATURE,
    TIMESTAMP,
    BadSignature,
    Secret,
    key_of,
    new_secret,
    signed,
    verify,
)
from tests.webhooks.alerts import NOW, SECRET

BODY = b'{"type":"loyalty.churn_alert.raised"}'
DAY = timedelta(days=1)
secrets = st.binary(min_size=24, max_size=64).map(
    lambda key: Secret(value=PREFIX + base64.b64encode(key).decode(), since=NOW)
)
ids = st.text("0123456789abcdef", min_size=1, max_size=64)
moments = st.integers(10**9, 7 * 10**12).map(instant)


def test_the_example_of_the_specifications_libraries() -> None:
    """The vector that all libraries of the specification are tested with."""
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}', [SECRET]
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@settings(deadline=None)
@given(secrets, ids, moments, st.text())
def test_each_signature_is_the_one_of_the_other_implementation(
    secret: Secret, message_id: str, at: datetime, text: str
) -> None:
    body = text.encode(errors="replace")
    headers = signed(message_id, at, body, [secret])
    assert headers[SIGNATURE] == Webhook(secret.value).sign(message_id, at, body.decode())


@settings(deadline=None)
@given(secrets, ids, moments, st.binary(), st.integers(-300, 300))
def test_what_was_signed_verifies_within_five_minutes(
    secret: Secret, message_id: str, at: datetime, body: bytes, seconds: int
) -> None:
    now = at.replace(microsecond=0) + timedelta(seconds=seconds)
    verify(signed(message_id, at, body, [secret]), body, [secret], now)


def test_the_other_implementation_verifies_what_is_signed_now() -> None:
    headers = signed("a1", datetime.now(UTC), BODY, [SECRET])
    assert Webhook(SECRET.value).verify(BODY, headers) == {"type": "loyalty.churn_alert.raised"}


@pytest.mark.parametrize("seconds", [-301, 301, 10**6])
def test_a_request_of_another_time_is_refused(seconds: int) -> None:
    headers = signed("a1", NOW, BODY, [SECRET])
    with pytest.raises(BadSignature, match="300 seconds"):
        verify(headers, BODY, [SECRET], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ID, "a2"),
        (ID, ""),
        (ID, "a1\n"),
        (TIMESTAMP, "1767700801"),
        (TIMESTAMP, "1767700800.5"),
        (TIMESTAMP, "١٧٦٧٧٠٠٨٠٠"),
        (TIMESTAMP, "9" * 5000),
        (SIGNATURE, ""),
        (SIGNATURE, "v1"),
        (SIGNATURE, "v1,"),
        (SIGNATURE, "v1,!!! v1,K5oZ"),
        (SIGNATURE, "v1a,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
        (SIGNATURE, "v1,é"),
    ],
)
def test_a_changed_header_is_refused(name: str, value: str) -> None:
    headers = {**signed("a1", NOW, BODY, [SECRET]), name: value}
    with pytest.raises(BadSignature):
        verify(headers, BODY, [SECRET], NOW)


def test_a_missing_header_and_another_body_are_refused() -> None:
    headers = signed("a1", NOW, BODY, [SECRET])
    for name in headers:
        with pytest.raises(BadSignature):
            verify({other: value for other, value in headers.items() if other != name}, BODY, [SECRET], NOW)
    with pytest.raises(BadSignature):
        verify(headers, BODY + b" ", [SECRET], NOW)


def test_names_of_headers_may_come_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed("a1", NOW, BODY, [SECRET]).items()}
    verify(headers, BODY, [SECRET], NOW)


def test_a_signature_among_others_counts() -> None:
    headers = signed("a1", NOW, BODY, [SECRET])
    headers[SIGNATURE] = f"v1a,AAAA v1,AAAA nonsense {headers[SIGNATURE]}"
    verify(headers, BODY, [SECRET], NOW)


def test_during_a_rotation_old_and_new_secret_verify_and_afterwards_only_the_new_one() -> None:
    old = Secret(value=SECRET.value, since=NOW - DAY, until=NOW + DAY)
    new = new_secret(NOW)
    during = signed("a1", NOW, BODY, [new, old])
    assert len(during[SIGNATURE].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret.value).sign("a1", NOW, BODY.decode()) in during[SIGNATURE].split(" ")
    after = signed("a1", NOW + DAY, BODY, [new, old])
    verify(after, BODY, [new], NOW + DAY)
    with pytest.raises(BadSignature):
        verify(after, BODY, [SECRET], NOW + DAY)
    with pytest.raises(BadSignature):
        verify(signed("a1", NOW + DAY, BODY, [SECRET]), BODY, [new, old], NOW + DAY)


def test_a_clock_set_back_leaves_secrets_valid() -> None:
    secret = new_secret(NOW)
    verify(signed("a1", NOW - 365 * DAY, BODY, [secret]), BODY, [secret], NOW - 365 * DAY)


def test_nothing_is_signed_without_a_valid_secret() -> None:
    with pytest.raises(Refused, match="no secret"):
        signed("a1", NOW, BODY, [Secret(value=SECRET.value, since=NOW - DAY, until=NOW)])


def test_the_zone_of_a_moment_does_not_matter_but_it_must_have_one() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert signed("a1", elsewhere, BODY, [SECRET]) == signed("a1", NOW, BODY, [SECRET])
    with pytest.raises(ValueError, match="offset"):
        signed("a1", NOW.replace(tzinfo=None), BODY, [SECRET])


@pytest.mark.parametrize(
    "value", ["", "whsec_", "whsec_MTIz", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_é"]
)
def test_what_is_no_secret_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(Refused) as refusal:
        key_of(Secret(value=value, since=NOW))
    assert len(value) <= len(PREFIX) or value not in str(refusal.value)


def test_a_new_secret_has_32_random_bytes_and_is_never_shown() -> None:
    secret = new_secret(NOW)
    assert len(key_of(secret)) == 32
    assert new_secret(NOW).value != secret.value
    assert secret.value[len(PREFIX) :] not in f"{secret!r} {secret} {secret.__rich_repr__()}"


def test_a_signature_with_anything_between_is_another_one() -> None:
    headers = signed("a1", NOW, BODY, [SECRET])
    with pytest.raises(BadSignature):
        verify({**headers, SIGNATURE: headers[SIGNATURE].replace("v1,", "v1,!")}, BODY, [SECRET], NOW)
