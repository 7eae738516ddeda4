"""Erased customers are recognised in whatever names them, and nobody else is."""

import orjson
import pytest

from pipeline.core.state.customer import Customer, encode_named, encode_state
from pipeline.core.state.profile import ReferralState, Stated
from pipeline.core.state.suppression import digest_of, names_suppressed, referrer_in, referrer_named, without_referrer

GONE = 'käthe "k" \\ 1'
SUPPRESSED = {digest_of(GONE.encode())}


@pytest.mark.parametrize(
    "value",
    [
        orjson.dumps({"event_id": "1", "customer_id": GONE}),
        orjson.dumps({"customer_id": GONE})[:-1],
        b'{"customer_id" : "k\\u00e4the \\u0022k\\" \\\\ 1"',
        b"\xff" + orjson.dumps({"customer_id": "other", "referred_by": GONE}),
    ],
    ids=["whole", "cut off behind it", "escaped", "not UTF-8, as the referrer"],
)
def test_bytes_that_name_an_erased_customer_are_recognised(value: bytes) -> None:
    assert names_suppressed(None, value, SUPPRESSED)
    assert not names_suppressed(None, value, {digest_of(b"somebody")})
    assert not names_suppressed(None, value, frozenset())


def test_the_referrer_is_read_from_a_state_without_reading_all_of_it_and_taken_out() -> None:
    referred = Customer(customer_id="a", stated=Stated(referred_by=ReferralState(7, "e", GONE), deliveries_late=2))
    for customer, referrer in ((referred, GONE), (Customer(customer_id="b"), None)):
        assert referrer_in(encode_state(customer)) == referrer
        assert referrer_named(encode_named(customer)) == referrer
    after = without_referrer(referred)
    assert after.stated == Stated(deliveries_late=2)
    assert referred.stated is not None
    assert referred.stated.referred_by is not None
    only = Customer(customer_id="a", stated=Stated(referred_by=ReferralState(7, "e", GONE)))
    assert without_referrer(only) == Customer(customer_id="a")
    assert referrer_in(b"\xff") is None
    assert referrer_named(b"\xff") is None
